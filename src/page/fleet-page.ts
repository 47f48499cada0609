import type { FleetPageData, PageRelease } from '../balena/fleet-page.ts';
import { html, type Html } from './html.ts';
import { copyBlock, layout } from './layout.ts';

/** One image of the release that is shown, and how it is pulled. */
interface Line {
	service: string;
	reference: string;
	pinned: string;
}

/**
 * @param host what stands before a name in `docker pull`
 * @param shown the release whose lines are shown; undefined where the fleet has none
 */
export function fleetPage(host: string, fleet: FleetPageData, shown: PageRelease | undefined): string {
	return layout(
		`${fleet.slug} on ${host}`,
		html`<header>
<h1>${fleet.name}</h1>
<p><code>${fleet.slug}</code></p>
<ul class="facts">
${fleet.architecture === undefined ? undefined : html`<li>${fleet.architecture}</li>`}
${fleet.deviceType === undefined ? undefined : html`<li>${fleet.deviceType}</li>`}
${shown === undefined ? undefined : html`<li>${fileSize(sizeOf(shown))}</li>`}
</ul>
</header>
<main>
${shown === undefined ? html`<p>This fleet has no release to pull yet.</p>` : release(host, fleet.slug, shown)}
${fleet.releases.length === 0 ? undefined : releases(fleet, shown)}
</main>
<footer><a href="/">${host}</a></footer>`,
	);
}

function release(host: string, slug: string, shown: PageRelease): Html {
	const lines = linesOf(host, slug, shown);
	const [first] = lines;
	if (first === undefined) {
		return html`<h2>Release ${shown.version}</h2><p>This release has no image.</p>`;
	}
	return html`<h2>Release ${shown.version}</h2>
${copyBlock('Docker', lines.map(({ reference }) => `docker pull ${reference}`).join('\n'))}
${copyBlock('Compose', `services:\n${lines.map(({ service, reference }) => `  ${service}:\n    image: ${reference}`).join('\n')}`)}
${copyBlock('Dockerfile', `FROM ${first.reference}`)}
${copyBlock('Kubernetes', `containers:\n${lines.map(({ service, reference }) => `  - name: ${service}\n    image: ${reference}`).join('\n')}`)}
${first.pinned === first.reference ? undefined : copyBlock('Exactly these bytes, always', lines.map(({ pinned }) => pinned).join('\n'))}`;
}

function linesOf(host: string, slug: string, { version, path, images }: PageRelease): Line[] {
	return images.map(({ service, digest }) => {
		// A repository's name is in lower case, a service's need not be.
		const reference = `${host}/${slug}/${path}${images.length > 1 ? `/${service.toLowerCase()}` : ''}`;
		return { service: service === '' ? `release-${version}` : service, reference, pinned: digest === undefined ? reference : `${reference}@${digest}` };
	});
}

function releases({ slug, releases, trackedCommit }: FleetPageData, shown: PageRelease | undefined): Html {
	return html`<h2>Releases</h2>
<div class="table" tabindex="0" role="region" aria-label="Releases"><table>
<thead><tr><th scope="col">Version</th><th scope="col">Commit</th><th scope="col">Date</th><th scope="col">Services</th><th scope="col">Size</th></tr></thead>
<tbody>
${releases.map(
	(row) => html`<tr>
<td>${row.commit === shown?.commit ? html`<strong>${row.version}</strong>` : html`<a href="/${slug}/${row.path}">${row.version}</a>`}${row.commit === trackedCommit ? html`<span class="badge">tracked</span>` : undefined}</td>
<td><code>${row.commit.slice(0, 7)}</code></td>
<td>${row.date}</td>
<td class="services">${row.images.map(({ service }) => service).join(', ')}</td>
<td>${fileSize(sizeOf(row))}</td>
</tr>`,
)}
</tbody>
</table></div>`;
}

function sizeOf({ images }: PageRelease): number {
	return images.reduce((sum, { size }) => sum + size, 0);
}

/** @returns bytes as people say them; nothing where nobody knows */
export function fileSize(bytes: number): string {
	const units = ['B', 'kB', 'MB', 'GB', 'TB'];
	const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
	return bytes === 0 ? '' : `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
