import { html } from './html.ts';
import { copyBlock, layout } from './layout.ts';
import { fileSize } from './fleet-page.ts';
import { snippets } from './snippets.ts';

/** What everybody may know of one image of a block. */
export interface BlockRow {
	/** balena's name for it. */
	architecture: string;
	/** Of its fleet. */
	slug: string;
	/** As the dashboard shows it. */
	version: string;
	/** What names exactly this release in a reference; undefined where it is not known. */
	path: string | undefined;
	digest: string | undefined;
	/** Bytes; 0 where nobody knows. */
	size: number;
}

/**
 * The page of a name that stands for images of several fleets: docs/architectures.md.
 *
 * @param host what stands before a name in `docker pull`
 * @param name the block's, with its release and service as far as they were named
 * @param rows at least one
 */
export function blockPage(host: string, name: string, rows: readonly BlockRow[]): string {
	const [org, block = '', release, service] = name.split('/');
	const paths = new Set(rows.map(({ path }) => path));
	const [path] = paths;
	// Where all have the same release, the lines name it, so that they mean the same tomorrow.
	const named = [org, block, paths.size === 1 ? path : release, service].filter((part) => part !== undefined).join('/');
	return layout(
		host,
		`${name} on ${host}`,
		html`<main>
<h1>${block}</h1>
<p class="lead"><code>${name}</code></p>
<p>One name for ${rows.length === 1 ? 'one architecture' : `${rows.length} architectures`}: every machine pulls the image that is for it.</p>
${snippets(block, [{ service: service ?? block, reference: `${host}/${named}` }]).map((snippet) => copyBlock(snippet))}
<h2>Architectures</h2>
<table class="releases">
<thead><tr><th scope="col">Architecture</th><th scope="col">Fleet</th><th scope="col">Version</th><th scope="col">Size</th><th scope="col">Digest</th></tr></thead>
<tbody>
${rows.map(
	(row) => html`<tr>
<td>${row.architecture}</td>
<td><a href="/${[row.slug, row.path, row.path === undefined ? undefined : service].filter((part) => part !== undefined).join('/')}">${row.slug}</a></td>
<td>${row.version}</td>
<td>${fileSize(row.size)}</td>
<td><code>${row.digest}</code></td>
</tr>
`,
)}</tbody>
</table>
<p class="soft"><code>balena build</code>, <code>push</code> and <code>deploy</code> take amd64 from such a name, whatever they build for: there, use the name of the fleet.</p>
</main>`,
	);
}
