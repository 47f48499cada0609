import type { ReleaseReference, ReleaseText } from './reference.ts';
import { formsOf, type Filter } from './release-forms.ts';
import { RELEASE_FIELDS } from './release.ts';

/*
 * The queries that are asked of the balena API's OData, as options for `sdk.pine.get`. Texts of the caller appear in them as values
 * only: the SDK quotes them.
 */

/** Enough for the highest revisions of a version (they come first) and to show that a commit prefix is ambiguous. */
const MAX_MATCHES = 10;
/** From how many of a fleet's releases its closest versions are picked. */
const MAX_NEIGHBOURS = 100;

/** As near as the API comes to the order of versions: of one version, the one without a prerelease is first, but prereleases are compared as texts. */
const HIGHEST_FIRST = [
	{ semver_major: 'desc' },
	{ semver_minor: 'desc' },
	{ semver_patch: 'desc' },
	{ semver_prerelease: 'asc' },
	{ revision: 'desc' },
	{ id: 'asc' },
];

const SUCCESSFUL = { status: 'success' };

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
 * @returns options for the resource `release`; `matchRelease` picks from the rows. Undefined where the release's text has none of the forms, so that nothing can match.
 */
export function releaseQuery({ slug, release }: Pick<ReleaseReference, 'slug' | 'release'>): Filter | undefined {
	const which =
		release === undefined
			? { should_be_running_on__application: withSlug(slug) }
			: anyOf(formsOf(release).map(({ filter, isFinalOnly }) => ({ ...(isFinalOnly ? { is_final: true } : {}), ...filter })));
	return (
		which && {
			$top: MAX_MATCHES,
			$select: RELEASE_FIELDS,
			$expand: IMAGES,
			$filter: { ...SUCCESSFUL, ...(release === undefined ? {} : { belongs_to__application: withSlug(slug) }), ...which },
			$orderby: HIGHEST_FIRST,
		}
	);
}

/**
 * The query that explains why the first one matched nothing: whether the fleet is visible to the caller, and what it has instead.
 *
 * @returns options for the resource `application`
 */
export function explanationQuery({ slug, release }: Pick<ReleaseReference, 'slug' | 'release'>): Filter {
	const pullable = { ...SUCCESSFUL, is_final: true };
	return {
		$top: 1,
		$select: ['id'],
		$filter: { slug },
		$expand: {
			owns__release: {
				$top: MAX_NEIGHBOURS,
				$select: RELEASE_FIELDS,
				$filter: anyOf([pullable, ...(release === undefined ? [] : namesOf(release))]),
				$orderby: HIGHEST_FIRST,
			},
		},
	};
}

function withSlug(slug: string): Filter {
	return { $any: { $alias: 'a', $expr: { a: { slug } } } };
}

function anyOf(filters: Filter[]): Filter | undefined {
	return filters.length > 1 ? { $or: filters } : filters[0];
}

/** The same names on releases that cannot be pulled under them: failed, still building, or a draft named by its plain version. */
function namesOf(release: ReleaseText): Filter[] {
	return formsOf(release).map(({ filter }) => filter);
}

/** Most versions that are listed of one fleet. */
const MAX_VERSIONS = 2000;

/** @returns options for the resource `application`: the versions of a fleet's pullable releases, of all revisions. `parseVersions` reads the rows. */
export function versionsQuery(slug: string): Filter {
	return {
		$top: 1,
		$select: ['id'],
		$filter: { slug },
		$expand: {
			owns__release: {
				$top: MAX_VERSIONS,
				$select: ['semver_major', 'semver_minor', 'semver_patch', 'semver_prerelease'],
				$filter: { ...SUCCESSFUL, is_final: true },
				$orderby: HIGHEST_FIRST,
			},
		},
	};
}

/** In how many of a fleet's releases of each of the two kinds a digest is looked for. */
const MAX_SEARCHED = 20;

/** @returns options for the resource `release`: a fleet's highest final releases with their images. `parseReleases` reads the rows. */
export function highestReleasesQuery(slug: string): Filter {
	return { ...searched({ is_final: true }, slug), $orderby: HIGHEST_FIRST };
}

/** @returns options for the resource `release`: the drafts of a fleet that were made last, with their images. `parseReleases` reads the rows. */
export function newestDraftsQuery(slug: string): Filter {
	return { ...searched({ is_final: false }, slug), $orderby: [{ id: 'desc' }] };
}

function searched(filter: Filter, slug: string): Filter {
	return {
		$top: MAX_SEARCHED,
		$select: RELEASE_FIELDS,
		$expand: IMAGES,
		$filter: { ...SUCCESSFUL, ...filter, belongs_to__application: withSlug(slug) },
	};
}

/** @returns options for the resource `release`: the releases of a fleet that have an image with a manifest digest. `parseReleases` reads the rows. */
export function releaseOfDigestQuery(slug: string, digest: string): Filter {
	const hasDigest = { $any: { $alias: 'ri', $expr: { ri: { image: { $any: { $alias: 'i', $expr: { i: { content_hash: digest } } } } } } } };
	return {
		$top: 1,
		$select: RELEASE_FIELDS,
		$expand: IMAGES,
		$filter: { ...SUCCESSFUL, belongs_to__application: withSlug(slug), release_image: hasDigest },
		$orderby: HIGHEST_FIRST,
	};
}
