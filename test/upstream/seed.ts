import { DEVICE_TYPES, hexOf, repositoryOf, type SampleFleet } from './fleets.ts';
import type { RepositoryContent } from './image.ts';
import type { Sql } from './odata.ts';
import { versionFields } from './version.ts';

/** As the real API calls them, where that is known. */
const DEVICE_TYPE_NAMES: Record<string, string> = {
	'generic-amd64': 'Generic x86_64 (GPT)',
	'raspberrypi4-64': 'Raspberry Pi 4 (using 64bit OS)',
};

type Row = Record<string, unknown> & { id: number };

/**
 * Writes the sample fleets into the API's tables.
 *
 * @param images repository -> the image that is stored there; a release that is still building has none
 * @param service the registry's name, with which image locations begin
 */
export async function seed(
	sql: Sql,
	fleets: SampleFleet[],
	images: ReadonlyMap<string, RepositoryContent>,
	service: string,
): Promise<void> {
	const architectures = rowsOf([...new Set(Object.values(DEVICE_TYPES))], (slug) => ({ slug }));
	const deviceTypes = rowsOf(Object.entries(DEVICE_TYPES), ([slug, architecture]) => ({
		slug,
		name: DEVICE_TYPE_NAMES[slug] ?? slug,
		is_of__cpu_architecture: idWhere(architectures, 'slug', architecture),
	}));
	const organizations = rowsOf([...new Set(fleets.map(({ slug }) => slug.split('/')[0]!))], (handle) => ({ handle, name: handle }));
	const applications = rowsOf(fleets, ({ slug, isPublic, isPinned, deviceType, class: of = 'fleet' }) => ({
		slug,
		app_name: slug.split('/')[1],
		uuid: hexOf(`uuid of ${slug}`),
		organization: idWhere(organizations, 'handle', slug.split('/')[0]),
		is_for__device_type: idWhere(deviceTypes, 'slug', deviceType),
		is_of__class: of,
		is_public: isPublic,
		should_track_latest_release: !isPinned,
	}));
	const releases = rowsOf(
		fleets.flatMap((fleet) => fleet.releases.map((release) => ({ fleet, release }))),
		({ fleet, release }, id) => {
			const { revision, ...fields } = versionFields({ ...release, revision: release.revision ?? 0 });
			const createdAt = new Date(Date.UTC(2022, 2, 29) + id * 3_600_000).toISOString();
			return {
				created_at: createdAt,
				belongs_to__application: idWhere(applications, 'slug', fleet.slug),
				commit: release.commit,
				...fields,
				version: JSON.stringify(fields.version),
				revision,
				is_final: release.isFinal,
				is_finalized_at__date: release.isFinal ? createdAt : null,
				is_invalidated: release.isInvalidated,
				status: release.status,
				is_passing_tests: true,
				phase: null,
				source: 'cloud',
				end_timestamp: createdAt,
				...release.row,
			};
		},
	);
	const services = rowsOf(
		fleets.flatMap(({ slug, releases }) => [...new Set(releases.flatMap((release) => release.services))].map((name) => ({ slug, name }))),
		({ slug, name }) => ({ application: idWhere(applications, 'slug', slug), service_name: name }),
	);
	const builds = fleets.flatMap(({ slug, releases }) =>
		releases.flatMap((release) => release.services.map((name) => ({ slug, release, name }))),
	);
	const imageRows = rowsOf(builds, ({ slug, release, name }) => {
		const repository = repositoryOf(slug, release.rawVersion, name);
		const content = images.get(repository);
		const application = idWhere(applications, 'slug', slug);
		return {
			is_a_build_of__service: services.find((row) => row.application === application && row.service_name === name)!.id,
			is_stored_at__image_location: `${service}/${repository}`,
			content_hash: content?.summary.digest ?? null,
			image_size: content === undefined ? null : [...content.blobs.values()].reduce((sum, blob) => sum + blob.length, 0),
			project_type: 'Standard Dockerfile',
			status: release.status,
			...release.imageRows?.[release.services.indexOf(name)],
		};
	});
	const releaseImages = rowsOf(builds, ({ release }, id) => ({
		image: id,
		is_part_of__release: idWhere(releases, 'commit', release.commit),
	}));

	await insert(sql, 'cpu_architecture', architectures);
	await insert(sql, 'device_type', deviceTypes);
	await insert(sql, 'organization', organizations);
	await insert(sql, 'application', applications);
	await insert(sql, 'release', releases);
	await insert(sql, 'service', services);
	await insert(sql, 'image', imageRows);
	await insert(sql, 'image__is_part_of__release', releaseImages);
	for (const { slug, target } of fleets) {
		if (target !== undefined) {
			await setTarget(sql, slug, target);
		}
	}
}

/** Makes a fleet track, or be pinned to, one of its releases. */
export async function setTarget(sql: Sql, slug: string, rawVersion: string): Promise<void> {
	await sql(
		`UPDATE "application" SET "should be running-release" = "release"."id" FROM "release"
		WHERE "slug" = $1 AND "release"."belongs to-application" = "application"."id" AND "raw version" = $2`,
		[slug, rawVersion],
	);
}

export async function setPublic(sql: Sql, slug: string, isPublic: boolean): Promise<void> {
	await sql('UPDATE "application" SET "is public" = $2 WHERE "slug" = $1', [slug, isPublic]);
}

function rowsOf<Item>(items: Item[], rowOf: (item: Item, id: number) => Record<string, unknown>): Row[] {
	return items.map((item, index) => ({ id: index + 1, ...rowOf(item, index + 1) }));
}

function idWhere(rows: Row[], field: string, value: unknown): number {
	const row = rows.find((candidate) => candidate[field] === value);
	if (row === undefined) {
		throw new Error(`no row with ${field} ${String(value)}`);
	}
	return row.id;
}

/** PineJS's tables are named as its resources are, with "-" for "__" and " " for "_". */
async function insert(sql: Sql, resource: string, rows: Row[]): Promise<void> {
	const quoted = (name: string): string => `"${name.replaceAll('__', '-').replaceAll('_', ' ')}"`;
	const fields = Object.keys(rows[0]!);
	const values = rows.map((_, row) => `(${fields.map((_, field) => `$${row * fields.length + field + 1}`).join(', ')})`);
	await sql(
		`INSERT INTO ${quoted(resource)} (${fields.map(quoted).join(', ')}) VALUES ${values.join(', ')}`,
		rows.flatMap((row) => fields.map((field) => row[field])),
	);
}
