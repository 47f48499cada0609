import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { cacheKey } from '../../src/balena/cache-key.ts';
import { ANONYMOUS, type Caller } from '../../src/balena/caller.ts';
import { namesakesQuery, parseNamesakes } from '../../src/balena/neighbourhood.ts';
import { parseAnswer as parse } from '../../src/balena/parse-answer.ts';
import type { ReleaseReference } from '../../src/balena/reference.ts';
import {
	highestReleasesQuery,
	newestDraftsQuery,
	releaseOfDigestQuery,
	releaseQuery,
	MAX_VERSION_PAGES,
	VERSIONS_PAGE,
	versionsQuery,
} from '../../src/balena/release-query.ts';
import { parseListed, parseReleases, versionsOf, type ListedRelease } from '../../src/balena/release.ts';
import { match, resolution, sizeOfMatched, type Asking, type Matched, type Resolution } from '../../src/balena/resolution.ts';
import { RegistryError } from '../../src/errors.ts';
import { LoadingCache, type CacheCounts, type Loaded, type Loading } from '../../src/cache.ts';
import type { Config } from '../../src/config.ts';

export interface Resolver {
	/** @throws RegistryError only where the API cannot be asked */
	resolve(reference: ReleaseReference, caller: Caller): Promise<Resolution>;
	/**
	 * @returns the versions of a fleet's pullable releases; undefined where the fleet is not there for the caller.
	 * @throws RegistryError likewise
	 */
	versions(slug: string, caller: Caller): Promise<string[] | undefined>;
	/**
	 * @returns the repositories of the release that a fleet tracks, of its highest ones, and of its newest drafts; of several
	 * fleets, those of all.
	 * @throws RegistryError likewise
	 */
	repositories(fleets: readonly string[], caller: Caller): Promise<string[]>;
	/**
	 * @returns the repository of an image of the fleets with this manifest digest; undefined where the API knows none.
	 * @throws RegistryError likewise
	 */
	repositoryOf(fleets: readonly string[], digest: string, caller: Caller): Promise<string | undefined>;
	/** Drops what is remembered for a caller: its credentials turned out to be invalid, so that the answers were an anonymous caller's. */
	forget(reference: ReleaseReference, caller: Caller): void;
	readonly counts: CacheCounts & { size: number };
}

declare module 'fastify' {
	interface FastifyInstance {
		resolver: Resolver;
	}
}

/**
 * Of releases that are remembered, and as much again for failures: mostly less than 1 KB each, hundreds of KB where somebody
 * wants it so.
 */
const MAX_RELEASES_BYTES = 24 * 1024 * 1024;
/** A list of versions can be some 10 KB. */
const MAX_VERSION_LISTS = 500;

/** Fleets of a name that was not found, and for how long they are remembered: which there are is a hint in a sentence. */
const MAX_NAMESAKES = 1000;
const NAMESAKES_MS = 10 * 60_000;

/**
 * In how many repositories a digest is looked for: each is a request to the registry, and a scope of one token, which has to fit
 * into the 8 KB that many servers take as a header.
 */
const MAX_REPOSITORIES = 48;

/** Slugs to releases: one OData query through an LRU cache, more only for a block, or to explain a failure. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		// By release, not by service: whatever services are made up, they cost nothing more.
		const cache = new LoadingCache<Matched>({
			max: config.RESOLUTION_CACHE_SIZE,
			maxBytes: MAX_RELEASES_BYTES,
			sizeOf: sizeOfMatched,
			onStale: (error) =>
				app.log.warn({ error: (error as Error).message }, 'the balena API is unavailable: resolving from what is remembered'),
		});

		const versions = new LoadingCache<string[] | undefined>({ max: Math.min(config.RESOLUTION_CACHE_SIZE, MAX_VERSION_LISTS) });

		const asking = (caller: Caller, loading: Loading): Asking => ({
			query: (resource, options) => app.api.query(resource, options, caller, loading),
			namesakesOf,
			isAnonymous: caller.kind === 'anonymous',
			hasBlocks: config.PLATFORM_INDEX === 'on',
		});

		/**
		 * What everybody may see, so that all callers share the answer. One at a time: the API may have to look at all of its
		 * fleets for it.
		 */
		const namesakes = new LoadingCache<string[]>({ max: MAX_NAMESAKES });
		let isAsking = false;
		async function namesakesOf(slug: string): Promise<string[]> {
			const fleet = slug.slice(slug.indexOf('/') + 1);
			return await namesakes.get(fleet, async () => {
				if (isAsking) {
					return { value: [], freshMs: 0 };
				}
				isAsking = true;
				try {
					const value = parse(parseNamesakes, await app.api.query('application', namesakesQuery(fleet), ANONYMOUS));
					return { value, freshMs: config.RESOLUTION_TTL === 0 ? 0 : NAMESAKES_MS };
				} finally {
					isAsking = false;
				}
			});
		}

		/** All of them, a page at a time: a list that ends somewhere looks like one that is whole. */
		async function allVersions(slug: string, caller: Caller, loading: Loading): Promise<string[] | undefined> {
			const all: ListedRelease[] = [];
			for (let page = 0; page < MAX_VERSION_PAGES; page++) {
				const read = parse(parseListed, await app.api.query('application', versionsQuery(slug, all.at(-1)?.id), caller, loading));
				if (read === undefined) {
					return undefined;
				}
				all.push(...read);
				if (read.length < VERSIONS_PAGE) {
					return versionsOf(all);
				}
			}
			throw new RegistryError(
				'UNSUPPORTED',
				`${slug} has more than ${MAX_VERSION_PAGES * VERSIONS_PAGE} releases, which are too many to list`,
				{
					forPeople: true,
				},
			);
		}

		app.decorate('resolver', {
			resolve: async (reference, caller) => {
				const load = async (loading: Loading): Promise<Loaded<Matched>> => {
					const value = await match(reference, asking(caller, loading));
					if (value.kind !== 'failure') {
						return { value, freshMs: config.RESOLUTION_TTL, staleMs: config.STALE_TTL };
					}
					// A failure told to credentials may be an anonymous caller's answer to a key that is about to become valid: never kept.
					return { value, freshMs: caller.kind === 'anonymous' ? Math.min(config.RESOLUTION_FAILURE_TTL, config.RESOLUTION_TTL) : 0 };
				};
				return resolution(reference, await cache.get(releaseKey(reference, caller), load, caller.client?.connection));
			},
			versions: (slug, caller) =>
				versions.get(
					`${caller.fingerprint} ${slug}`,
					async (loading) => {
						const value = await allVersions(slug, caller, loading);
						return { value, freshMs: value === undefined ? 0 : config.RESOLUTION_TTL };
					},
					caller.client?.connection,
				),
			repositories: async (fleets, caller) => {
				const slug = oneOrSeveral(fleets);
				const queries = [releaseQuery({ slug, release: undefined })!, highestReleasesQuery(slug), newestDraftsQuery(slug)];
				const lists = await Promise.all(queries.map(async (query) => parse(parseReleases, await app.api.query('release', query, caller))));
				return [...new Set(lists.flat().flatMap(({ images }) => images.map(({ repository }) => repository)))].slice(0, MAX_REPOSITORIES);
			},
			repositoryOf: async (fleets, digest, caller) => {
				const query = releaseOfDigestQuery(oneOrSeveral(fleets), digest);
				const [release] = parse(parseReleases, await app.api.query('release', query, caller));
				return release?.images.find((image) => image.digest === digest)?.repository;
			},
			forget: (reference, caller) => cache.forget(releaseKey(reference, caller)),
			get counts() {
				return { ...cache.counts, size: cache.size };
			},
		});
	},
	{ name: 'resolver', dependencies: ['api'] },
);

function releaseKey(reference: ReleaseReference, caller: Caller): string {
	return cacheKey({ ...reference, service: undefined }, caller);
}

function oneOrSeveral(fleets: readonly string[]): string | readonly string[] {
	return fleets.length === 1 ? fleets[0]! : fleets;
}
