import { html, type Html } from './html.ts';
import { copyBlock, layout } from './layout.ts';

/** What came of a reference that somebody tried. */
export interface Trial {
	/** As it was typed, and without what stands around it in a command: host, tag, "docker pull". */
	typed: string;
	reference: string;
	outcome: { kind: 'image'; version: string; digest: string | undefined } | { kind: 'failure'; message: string };
}

/** @param host what stands before a name in `docker pull` */
export function homePage(host: string, trial: Trial | undefined): string {
	return layout(
		`${host}: container images of balena fleets`,
		html`<header>
<h1>Container images of balena fleets</h1>
<p>This registry gives the images of balena fleets the names that people know: organisation, fleet and release.</p>
</header>
<main>
${copyBlock('Pull an image', `docker pull ${host}/<org>/<fleet>[/<release>[/<service>]]`)}
<p>A release is a version (<code>2.4.0</code>, <code>2.4</code> or <code>2</code>), a commit, or nothing for the release that the fleet tracks. A service is needed where a release has several.
For private fleets, <code>docker login ${host}</code> with any user name and a balena API key as the password.</p>
<h2>Try a reference</h2>
<form method="get" action="/">
<label for="reference">Public fleets only
<input id="reference" name="reference" value="${trial?.typed ?? ''}" placeholder="myorg/myfleet/2.4.0" maxlength="300" autocomplete="off" autocapitalize="none" spellcheck="false" required></label>
<button type="submit">What is it?</button>
</form>
${trial === undefined ? undefined : answer(host, trial)}
</main>
<footer>A page for a fleet is at <code>/&lt;org&gt;/&lt;fleet&gt;</code>.</footer>`,
	);
}

function answer(host: string, { reference, outcome }: Trial): Html {
	if (outcome.kind === 'failure') {
		return html`<div class="answer bad" role="status"><p>${capitalised(outcome.message)}.</p></div>`;
	}
	return html`<div class="answer good" role="status">
<p><code>${reference}</code> is release ${outcome.version}. <a href="/${reference}">See the fleet</a></p>
${copyBlock('Pull it', `docker pull ${host}/${reference}`)}
${outcome.digest === undefined ? undefined : copyBlock('Pull exactly this image, always', `docker pull ${host}/${reference}@${outcome.digest}`)}
</div>`;
}

/** A page that says one thing: what is wrong. */
export function messagePage(host: string, title: string, message: string): string {
	return layout(
		title,
		html`<header><h1>${title}</h1></header>
<main><div class="answer bad"><p>${capitalised(message)}.</p></div>
<p><a href="/">${host}</a> explains how images are named here.</p></main>`,
	);
}

function capitalised(text: string): string {
	return text.charAt(0).toUpperCase() + text.slice(1);
}
