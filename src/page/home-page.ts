import type { BlockImage } from '../balena/block.ts';
import { html, type Html } from './html.ts';
import { copyBlock, layout, sentence } from './layout.ts';

/** What came of a reference that somebody tried. */
export interface Trial {
	/** As it was typed, and without what stands around it in a command: host, "docker pull", and whatever else means nothing here. */
	typed: string;
	reference: string;
	outcome:
		| { kind: 'image'; version: string; digest: string | undefined; repository?: string }
		| { kind: 'block'; images: readonly BlockImage[] }
		| { kind: 'failure'; message: string };
	/**
	 * What names this release and no later one, as far as is known: for the line with a digest, which a name that moves on would
	 * outlive.
	 */
	exact?: string | undefined;
	/** The page that shows more, as what stands behind `/`; undefined where there is none. */
	page?: string | undefined;
	/** What else is to be known of what was typed, in whole sentences. */
	notes?: readonly string[];
}

/**
 * @param host what stands before a name in `docker pull`
 * @param hasBlocks whether a block's name stands for its fleets' images
 */
export function homePage(host: string, trial: Trial | undefined, hasBlocks = true): string {
	return layout(
		host,
		`${host}: container images of balena fleets`,
		html`<main>
<h1>Container images of balena fleets</h1>
<p class="lead">This registry has the images of balena fleets under the names that people know: organisation, fleet and release. Any container tool can pull them.</p>
<h2>Try a reference</h2>
<form method="get" action="/">
<label for="reference">Name of an image
<input id="reference" name="reference" value="${trial?.typed ?? ''}" placeholder="org/fleet/2.4.0" maxlength="300" autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="scope" required></label>
<button type="submit">What is it?</button>
</form>
<p class="soft" id="scope">A whole command line will do. Only public fleets can be tried here.</p>
${trial === undefined ? undefined : answer(host, trial)}
<h2>How images are named</h2>
<table>
<thead><tr><th scope="col">Name</th><th scope="col">Image</th></tr></thead>
<tbody>
${[...NAMES, ...(hasBlocks ? [BLOCK] : [])].map(
	([name, image]) => html`<tr><td><code>${host}/${name}</code></td><td>${image}</td></tr>
`,
)}</tbody>
</table>
<p>In a browser, each of these addresses is a page with the lines to copy.</p>
<h2>Private fleets</h2>
<p>Log in first, with any user name, and a balena API key as the password:</p>
${copyBlock({ heading: 'Log in', lines: [`docker login ${host}`] })}
</main>`,
	);
}

const NAMES = [
	['org/fleet', 'The release that the fleet tracks'],
	['org/fleet/2.4.0', 'A version; of its revisions, the highest'],
	['org/fleet/2.4', 'The highest of the versions 2.4.x'],
	['org/fleet/2', 'The highest of the versions 2.x'],
	['org/fleet/04f7c3a', 'A commit, or at least its first 7 digits'],
	['org/fleet/2.4.0/service', 'One service of a release that has several'],
] as const;
const BLOCK = ['org/block', 'Where the fleets are org/block-amd64, org/block-aarch64 and so on: for every machine its own'] as const;

function answer(host: string, { reference, outcome, exact = reference, page, notes = [] }: Trial): Html {
	const more = notes.map((note) => html`<p>${note}</p>`);
	if (outcome.kind === 'failure') {
		return html`<div class="answer bad" role="status"><p>${sentence(outcome.message)}</p>${more}${page === undefined ? undefined : html`<p><a href="/${page}">What there is to pull of this fleet</a></p>`}</div>`;
	}
	const pull = `docker pull ${host}/${reference}`;
	if (outcome.kind === 'block') {
		return html`<div class="answer" role="status">
<p><code>${reference}</code> is an image for several architectures: ${outcome.images.map(({ architecture, version }) => `${architecture} (release ${version})`).join(', ')}. Every machine pulls its own.</p>
${more}
${copyBlock({ heading: 'Pull it', lines: [pull] })}
<p><a href="/${page ?? reference}">Lines for Compose, Dockerfile and Kubernetes</a></p>
</div>`;
	}
	const { version, digest, repository } = outcome;
	return html`<div class="answer" role="status">
<p><code>${reference}</code> is <strong>release ${version}</strong>.</p>
${more}
${copyBlock({ heading: 'Pull it', lines: [pull] })}
${digest === undefined ? undefined : copyBlock({ heading: 'Pull always exactly this image', lines: [`docker pull ${host}/${exact}@${digest}`] })}
${repository === undefined ? undefined : html`<p class="soft">The registry behind this one stores it as <code>${repository}</code>.</p>`}
<p><a href="/${page ?? reference}">Lines for Compose, Dockerfile and Kubernetes</a></p>
</div>`;
}

/**
 * A page that says one thing: what is wrong.
 *
 * @param page where there is more about it, as what stands behind `/`; undefined where nothing is known
 */
export function messagePage(host: string, title: string, message: string, page?: string): string {
	return layout(
		host,
		title,
		html`<main>
<h1>${title}</h1>
<div class="answer bad"><p>${sentence(message)}</p></div>
${page === undefined ? undefined : html`<p><a href="/${page}">What there is to pull of this fleet</a></p>`}
<p><a href="/">How images are named here</a></p>
</main>`,
	);
}
