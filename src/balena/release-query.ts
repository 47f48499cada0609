import type { ReleaseReference } from './reference.ts';
import { formsOf, type Filter } from './release-forms.ts';
import { RELEASE_FIELDS } from './release.ts';
import { numbersIn, parseSeries, type Version } from './version.ts';

/*
 * The queries that are asked of the balena API's OData, as options for `sdk.pine.get`. Texts of the caller appear in them as values
 * only: the SDK quotes them.
 */

/** Enough for the highest revisions of a version (they come first) and to show that a commit prefix is ambiguous. */
const MAX_MATCHES = 10;
/** Of one version; more of them have the same name than anybody can mean. */
const MAX_PRERELEASES = 500;

/**
 * As near as the API comes to the order of versions: of one version, the one without a prerelease is first, but prereleases are
 * compared as texts.
 */
export const HIGHEST_FIRST = [
	{ semver_major: 'desc' },
	{ semver_minor: 'desc' },
	{ semver_patch: 'desc' },
	{ semver_prerelease: 'asc' },
	{ revision: 'desc' },
	{ id: 'asc' },
];

const LOWEST_FIRST = [
	{ semver_major: 'asc' },
	{ semver_minor: 'asc' },
	{ semver_patch: 'asc' },
	{ semver_prerelease: 'asc' },
	{ id: 'asc' },
];

/** Most services of a release that are looked at: far more than anybody runs, and a bound on what one name costs. */
export const MAX_IMAGES = 256;

const SUCCESSFUL = { status: 'success' };
export const PULLABLE = { ...SUCCESSFUL, is_final: true };

const IMAGES = {
	release_image: {
		$top: MAX_IMAGES,
		$select: ['id'],
		$orderby: [{ id: 'asc' }],
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
 * @returns options for the resource `release`; `matchRelease` picks from the rows. Undefined where the release's text has none of
 * the forms, so that nothing can match.
 */
export function releaseQuery({ slug, release }: { slug: Slugs; release: string | undefined }): Filter | undefined {
	return release === undefined
		? candidates({ should_be_running_on__application: withSlug(slug) })
		: candidates(namedBy(release), { belongs_to__application: withSlug(slug) });
}

/**
 * The same in several fleets at once, each with rows of its own.
 *
 * @returns options for the resource `application`; `parseCandidates` reads the rows. Undefined likewise.
 */
export function releasesQuery(slugs: readonly string[], release: string | undefined): Filter | undefined {
	const of = candidates(release === undefined ? {} : namedBy(release));
	return (
		of && {
			$top: slugs.length,
			$select: ['id', 'slug'],
			$filter: { slug: { $in: slugs } },
			$expand: release === undefined ? { should_be_running__release: of } : { owns__release: of },
		}
	);
}

/** @returns what a release's text can name; undefined where it has none of the forms */
function namedBy(release: string): Filter | undefined {
	return anyOf(formsOf(release).map(({ filter, isFinalOnly }) => ({ ...(isFinalOnly ? { is_final: true } : {}), ...filter })));
}

function candidates(which: Filter | undefined, where: Filter = {}): Filter | undefined {
	return (
		which && {
			$top: MAX_MATCHES,
			$select: RELEASE_FIELDS,
			$expand: IMAGES,
			$filter: { ...SUCCESSFUL, ...where, ...which },
			$orderby: HIGHEST_FIRST,
		}
	);
}

/**
 * Where a series has more final prereleases of its highest version than the first query reads, the highest may not be among them,
 * because the API orders prereleases as texts.
 *
 * @returns options for the resource `release`, all of that version; undefined where there is nothing more to ask
 */
export function prereleasesQuery(
	{ slug, release }: Pick<ReleaseReference, 'slug' | 'release'>,
	rows: readonly { version: Version | undefined }[],
): Filter | undefined {
	const [first, last] = [rows[0]?.version, rows[MAX_MATCHES - 1]?.version];
	const isCut =
		release !== undefined &&
		parseSeries(release) !== undefined &&
		first?.prerelease !== '' &&
		first !== undefined &&
		last !== undefined &&
		first.minor === last.minor &&
		first.patch === last.patch;
	return isCut
		? {
				$top: MAX_PRERELEASES,
				$select: RELEASE_FIELDS,
				$expand: IMAGES,
				$filter: {
					...PULLABLE,
					belongs_to__application: withSlug(slug),
					semver_major: first.major,
					semver_minor: first.minor,
					semver_patch: first.patch,
				},
				$orderby: [{ id: 'desc' }],
			}
		: undefined;
}

/**
 * The queries that explain why the first one matched nothing, beside the one for the fleet: each a few rows, because among a
 * fleet's thousands of others those that matter would be cut off.
 *
 * @returns options for the resource `release`: what has the name and cannot be pulled by it, with the closest version below; and
 * the closest one above. Rows are `parseRows`'.
 */
export function explanationQueries({ slug, release }: { slug: Slugs; release: string | undefined }): Filter[] {
	const [major, minor, patch] = (release === undefined ? undefined : numbersIn(release)) ?? [];
	const inMinor = patch === undefined ? undefined : { semver_minor: minor };
	const among = (filters: Filter[], $orderby: unknown, $top: number): Filter[] =>
		filters.length === 0
			? []
			: [{ $top, $select: RELEASE_FIELDS, $filter: { belongs_to__application: withSlug(slug), ...anyOf(filters) }, $orderby }];
	const side = (than: '$lt' | '$gt', thanOrSame: '$le' | '$gt'): Filter[] =>
		minor === undefined
			? []
			: [
					{
						...PULLABLE,
						semver_major: major,
						...anyOf([
							{ semver_minor: { [than]: minor } },
							...(inMinor === undefined ? [] : [{ ...inMinor, semver_patch: { [thanOrSame]: patch } }]),
						]),
					},
				];
	const named = release === undefined ? [] : formsOf(release).map(({ filter }) => filter);
	// What has the name has the very numbers, and so is before what is below.
	return [...among([...named, ...side('$lt', '$le')], HIGHEST_FIRST, MAX_MATCHES), ...among(side('$gt', '$gt'), LOWEST_FIRST, 1)];
}

/** One fleet, or several. */
type Slugs = string | readonly string[];

function withSlug(slugs: Slugs): Filter {
	return { $any: { $alias: 'a', $expr: { a: { slug: typeof slugs === 'string' ? slugs : { $in: slugs } } } } };
}

function anyOf(filters: Filter[]): Filter | undefined {
	return filters.length > 1 ? { $or: filters } : filters[0];
}

/** How many releases' versions are in one answer, and in how many answers all have to be: 20,000 releases. */
export const VERSIONS_PAGE = 2000;
export const MAX_VERSION_PAGES = 10;

/**
 * The versions of a fleet's pullable releases, of all revisions, with the number of their images. In the order of ids, of which a
 * page begins after the last one of the page before: with a number of releases to skip the API would work out and order all of
 * them for each page.
 *
 * @param after the last id of the page before
 * @returns options for the resource `application`; `parseListed` reads the rows
 */
export function versionsQuery(slug: string, after?: number): Filter {
	return {
		$top: 1,
		$select: ['id'],
		$filter: { slug },
		$expand: {
			owns__release: {
				$top: VERSIONS_PAGE,
				$select: ['id', 'semver_major', 'semver_minor', 'semver_patch', 'semver_prerelease', 'raw_version', 'revision'],
				$expand: { release_image: { $count: {} } },
				$filter: { ...PULLABLE, ...(after === undefined ? {} : { id: { $gt: after } }) },
				$orderby: [{ id: 'asc' }],
			},
		},
	};
}

/** In how many of a fleet's releases of each of the two kinds a digest is looked for. */
const MAX_SEARCHED = 20;

/** @returns options for the resource `release`: a fleet's highest final releases with their images. `parseReleases` reads the rows. */
export function highestReleasesQuery(slug: Slugs): Filter {
	return { ...searched({ is_final: true }, slug), $orderby: HIGHEST_FIRST };
}

/**
 * @returns options for the resource `release`: the drafts of a fleet that were made last, with their images. `parseReleases`
 * reads the rows.
 */
export function newestDraftsQuery(slug: Slugs): Filter {
	return { ...searched({ is_final: false }, slug), $orderby: [{ id: 'desc' }] };
}

function searched(filter: Filter, slug: Slugs): Filter {
	return {
		$top: MAX_SEARCHED,
		$select: RELEASE_FIELDS,
		$expand: IMAGES,
		$filter: { ...SUCCESSFUL, ...filter, belongs_to__application: withSlug(slug) },
	};
}

/**
 * @returns options for the resource `release`: the releases of a fleet that have an image with a manifest digest. `parseReleases`
 * reads the rows.
 */
export function releaseOfDigestQuery(slug: Slugs, digest: string): Filter {
	const hasDigest = { $any: { $alias: 'ri', $expr: { ri: { image: { $any: { $alias: 'i', $expr: { i: { content_hash: digest } } } } } } } };
	return {
		$top: 1,
		$select: RELEASE_FIELDS,
		$expand: IMAGES,
		$filter: { ...SUCCESSFUL, belongs_to__application: withSlug(slug), release_image: hasDigest },
		$orderby: HIGHEST_FIRST,
	};
}
