import type { Release, ReleaseReference } from './reference.ts';

/*
 * The queries that are asked of the balena API's OData, as options for `sdk.pine.get`. Texts of the caller appear in them as values
 * only: the SDK quotes them.
 */

/** Enough for every revision of a version that matters (they come highest first) and to show that a commit prefix is ambiguous. */
const MAX_MATCHES = 10;
/** From how many of a fleet's releases its closest versions are picked. */
const MAX_NEIGHBOURS = 100;

const HIGHEST_FIRST = [{ semver_major: 'desc' }, { semver_minor: 'desc' }, { semver_patch: 'desc' }, { revision: 'desc' }, { id: 'asc' }];

const SUCCESSFUL = { status: 'success' };

const RELEASE_FIELDS = ['id', 'commit', 'semver', 'semver_major', 'semver_minor', 'raw_version', 'is_final', 'status'];

const IMAGES = {
	release_image: {
		$select: ['id'],
		$expand: {
			image: {
				$select: ['id', 'is_stored_at__image_location', 'content_hash'],
				$expand: { is_a_build_of__service: { $select: ['service_name'] } },
			},
		},
	},
};

/**
 * The one query of a resolution: every successful release that a reference can mean, with its images.
 *
 * @returns options for the resource `release`; `matchRelease` picks from the rows
 */
export function releaseQuery({ slug, release }: Pick<ReleaseReference, 'slug' | 'release'>): Record<string, unknown> {
	return {
		$top: MAX_MATCHES,
		$select: RELEASE_FIELDS,
		$expand: IMAGES,
		$filter:
			release === undefined
				? { ...SUCCESSFUL, should_be_running_on__application: withSlug(slug) }
				: { ...SUCCESSFUL, belongs_to__application: withSlug(slug), $or: formsOf(release) },
		$orderby: HIGHEST_FIRST,
	};
}

/**
 * The query that explains why the first one matched nothing: whether the fleet is visible to the caller, and what it has instead.
 *
 * @returns options for the resource `application`
 */
export function explanationQuery({ slug, release }: Pick<ReleaseReference, 'slug' | 'release'>): Record<string, unknown> {
	const pullable = { ...SUCCESSFUL, is_final: true };
	return {
		$top: 1,
		$select: ['id'],
		$filter: { slug },
		$expand: {
			should_be_running__release: { $select: ['id', 'semver', 'raw_version', 'is_final', 'status', 'commit'] },
			owns__release: {
				$top: MAX_NEIGHBOURS,
				$select: ['id', 'commit', 'semver', 'raw_version', 'is_final', 'status'],
				$filter: release === undefined ? pullable : { $or: [pullable, ...namesOf(release)] },
				$orderby: HIGHEST_FIRST,
			},
		},
	};
}

function withSlug(slug: string): Record<string, unknown> {
	return { $any: { $alias: 'a', $expr: { a: { slug } } } };
}

/** All forms in which a successful release can be named. */
function formsOf(release: Release): Record<string, unknown>[] {
	const forms: Record<string, unknown>[] = release.versions.flatMap((version) => [
		{ semver: version, is_final: true },
		{ raw_version: version },
	]);
	if (release.commit !== undefined) {
		forms.push({ commit: { $startswith: release.commit } });
	}
	if (release.series !== undefined) {
		const { major, minor } = release.series;
		forms.push({ is_final: true, semver_major: major, ...(minor === undefined ? {} : { semver_minor: minor }) });
	}
	return forms;
}

/** The same names on releases that cannot be pulled under them: failed, still building, or a draft named by its plain version. */
function namesOf(release: Release): Record<string, unknown>[] {
	const names: Record<string, unknown>[] = release.versions.flatMap((version) => [{ semver: version }, { raw_version: version }]);
	if (release.commit !== undefined) {
		names.push({ commit: { $startswith: release.commit } });
	}
	return names;
}

/** Most versions that are listed of one fleet. */
const MAX_VERSIONS = 2000;

/** @returns options for the resource `application`: the versions of a fleet's pullable releases, of all revisions. `parseVersions` reads the rows. */
export function versionsQuery(slug: string): Record<string, unknown> {
	return {
		$top: 1,
		$select: ['id'],
		$filter: { slug },
		$expand: {
			owns__release: {
				$top: MAX_VERSIONS,
				$select: ['semver'],
				$filter: { ...SUCCESSFUL, is_final: true },
				$orderby: HIGHEST_FIRST,
			},
		},
	};
}

/** In how many of a fleet's releases of each of the two kinds a digest is looked for. */
const MAX_SEARCHED = 20;

/** @returns options for the resource `release`: a fleet's highest final releases with their images. `parseReleases` reads the rows. */
export function highestReleasesQuery(slug: string): Record<string, unknown> {
	return { ...searched({ is_final: true }, slug), $orderby: HIGHEST_FIRST };
}

/** @returns options for the resource `release`: the drafts of a fleet that were made last, with their images. `parseReleases` reads the rows. */
export function newestDraftsQuery(slug: string): Record<string, unknown> {
	return { ...searched({ is_final: false }, slug), $orderby: [{ id: 'desc' }] };
}

function searched(filter: Record<string, unknown>, slug: string): Record<string, unknown> {
	return {
		$top: MAX_SEARCHED,
		$select: RELEASE_FIELDS,
		$expand: IMAGES,
		$filter: { ...SUCCESSFUL, ...filter, belongs_to__application: withSlug(slug) },
	};
}

/** @returns options for the resource `release`: the releases of a fleet that have an image with a manifest digest. `parseReleases` reads the rows. */
export function releaseOfDigestQuery(slug: string, digest: string): Record<string, unknown> {
	const hasDigest = { $any: { $alias: 'ri', $expr: { ri: { image: { $any: { $alias: 'i', $expr: { i: { content_hash: digest } } } } } } } };
	return {
		$top: 1,
		$select: RELEASE_FIELDS,
		$expand: IMAGES,
		$filter: { ...SUCCESSFUL, belongs_to__application: withSlug(slug), release_image: hasDigest },
		$orderby: HIGHEST_FIRST,
	};
}
