import { MAX_RELEASES, type FleetPageData, type PageImage, type PageRelease } from '../balena/fleet-overview.ts';
import { isName } from '../registry/name.ts';
import { html, type Html } from './html.ts';
import { copyBlock, layout } from './layout.ts';
import { snippets, type PulledImage } from './snippets.ts';

/**
 * @param host what stands before a name in `docker pull`
 * @param shown the release whose lines are shown; undefined where the fleet has none
 * @param service the only one of its services to show, in lower case; undefined for all
 */
export function fleetPage(host: string, fleet: FleetPageData, shown: PageRelease | undefined, service?: string): string {
	return layout(
		host,
		`${fleet.slug} on ${host}`,
		html`<main>
<h1>${fleet.name}</h1>
<p class="lead"><code>${fleet.slug}</code></p>
${details([fleet.architecture, fleet.deviceType])}
${shown === undefined ? html`<p>This fleet has no release to pull yet.</p>` : release(host, fleet, shown, service)}
${fleet.releases.length === 0 ? undefined : releases(fleet, shown)}
</main>`,
	);
}

function release(host: string, fleet: FleetPageData, shown: PageRelease, service: string | undefined): Html {
	const images = service === undefined ? nameable(shown) : shown.images.filter((image) => image.service.toLowerCase() === service);
	const named = images.map((image) => pulled(host, fleet.slug, shown, image, false));
	const pinned = snippets(
		fleet.name,
		images.map((image) => pulled(host, fleet.slug, shown, image, true)),
	);
	const isPinnable = images.some(({ digest }) => digest !== undefined);
	return html`<h2>Release ${shown.version}${service === undefined ? undefined : html`, service ${service}`}${badges(shown, fleet)}</h2>
${details([shown.commit === '' ? undefined : html`commit <code>${shown.commit}</code>`, time(shown), fileSize(sizeOf(images))])}
${images.length === 0 ? html`<p>This release has no image to pull.</p>` : undefined}
${isPinnable ? CHOICE : undefined}
${images.length === 0 ? undefined : snippets(fleet.name, named).map((snippet, i) => copyBlock(snippet, isPinnable ? pinned[i] : undefined))}
${service === undefined || shown.images.length === 1 ? undefined : html`<p><a href="/${fleet.slug}/${shown.path}">All ${shown.images.length} services of this release</a></p>`}`;
}

/** Where a release has several images, their services are part of what is copied into shells: nothing that is no name may be. */
function nameable({ images }: PageRelease): PageImage[] {
	return images.length === 1 ? images : images.filter(({ service }) => isName(service.toLowerCase()));
}

/** Which of the two forms is shown is the style's business; where a browser cannot do that, both are. */
const CHOICE = html`<fieldset class="choice"><legend>Name the image by</legend>
<label><input type="radio" name="by" id="by-name" autocomplete="off" checked>release</label>
<label><input type="radio" name="by" id="by-digest" autocomplete="off">release and digest: always these bytes</label>
</fieldset>`;

function pulled(host: string, slug: string, { path, images }: PageRelease, { service, digest }: PageImage, isPinned: boolean): PulledImage {
	// A repository's name is in lower case, a service's need not be.
	const reference = `${host}/${slug}/${path}${images.length > 1 ? `/${service.toLowerCase()}` : ''}`;
	return { service, reference: isPinned && digest !== undefined ? `${reference}@${digest}` : reference };
}

function releases(fleet: FleetPageData, shown: PageRelease | undefined): Html {
	return html`<h2>Releases</h2>
${fleet.releases.length < MAX_RELEASES ? undefined : html`<p class="soft">The newest ${MAX_RELEASES}. Older ones, and drafts by their whole version, can be pulled as well.</p>`}
<table class="releases">
<thead><tr><th scope="col">Version</th><th scope="col">Commit</th><th scope="col">Date</th><th scope="col">Services</th><th scope="col">Size</th></tr></thead>
<tbody>
${fleet.releases.map(
	(row) => html`<tr>
<td>${row.commit === shown?.commit ? html`<strong aria-current="true">${row.version}</strong>` : html`<a href="/${fleet.slug}/${row.path}">${row.version}</a>`}${badges(row, fleet)}</td>
<td><code>${row.commit.slice(0, 7)}</code></td>
<td>${time(row)}</td>
<td class="services">${row.images.map(({ service }) => service).join(', ')}</td>
<td>${fileSize(sizeOf(row.images))}</td>
</tr>
`,
)}</tbody>
</table>`;
}

function badges({ commit, isInvalidated = false }: PageRelease, { trackedCommit }: FleetPageData): Html {
	return html`${commit !== '' && commit === trackedCommit ? html` <span class="badge">tracked</span>` : undefined}${isInvalidated ? html` <span class="badge warn">invalidated</span>` : undefined}`;
}

function details(known: readonly (string | Html | undefined)[]): Html {
	const items = known.flatMap((fact) => (fact === undefined || fact === '' ? [] : [html`<li>${fact}</li>`]));
	return items.length === 0 ? html`` : html`<ul class="details">${items}</ul>`;
}

function time({ date }: PageRelease): Html | undefined {
	return date === '' ? undefined : html`<time>${date}</time>`;
}

function sizeOf(images: readonly PageImage[]): number {
	return images.reduce((sum, { size }) => sum + size, 0);
}

/** @returns bytes as people say them; nothing where nobody knows */
export function fileSize(bytes: number): string {
	const units = ['B', 'kB', 'MB', 'GB', 'TB'];
	const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
	return bytes === 0 || !Number.isFinite(bytes) ? '' : `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
