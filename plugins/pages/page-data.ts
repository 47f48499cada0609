import type { FastifyInstance } from 'fastify';
import { memberSlug } from '../../src/balena/block.ts';
import type { Caller } from '../../src/balena/caller.ts';
import type { Failure } from '../../src/balena/explain.ts';
import {
	fleetPageQuery,
	pageReleaseQuery,
	parseFleetPage,
	parsePageReleases,
	type FleetPageData,
	type PageRelease,
} from '../../src/balena/fleet-overview.ts';
import {
	isBareFleet,
	isTracked,
	parseReference,
	parseReleaseText,
	type FleetReference,
	type Reference,
	type ReleaseText,
} from '../../src/balena/reference.ts';
import { parseAnswer } from '../../src/balena/parse-answer.ts';
import { matchRelease, parseReleases } from '../../src/balena/release.ts';
import { LoadingCache } from '../../src/cache.ts';
import type { Config } from '../../src/config.ts';
import type { BlockRow } from '../../src/page/block-page.ts';
import type { Trial } from '../../src/page/home-page.ts';
import { readTyped } from '../../src/page/read-typed.ts';

/**
 * What pages show: what an anonymous caller may know, and nothing else. All of it throws RegistryErrors only, where the API
 * cannot be asked.
 */
export interface PageData {
	/** @returns undefined where there is no such public fleet */
	fleet(slug: string): Promise<FleetPageData | undefined>;
	/**
	 * @returns the release whose lines are shown for a reference; where there is none, the sentence that says why, or undefined
	 * for a fleet that has none at all
	 */
	release(reference: FleetReference, fleet: FleetPageData): Promise<PageRelease | string | undefined>;
	/** @returns the images of a block; undefined where the reference means none */
	block(reference: Reference): Promise<BlockRow[] | undefined>;
	/** @returns the sentence of a pull that fails; undefined where it would not */
	failure(reference: Reference): Promise<string | undefined>;
	/** @returns what a text means that somebody typed. `host` is this registry's own name. */
	trial(typed: string, host: string): Promise<Trial>;
}

type Outcome = Trial['outcome'] & Partial<Pick<Failure, 'absent'>>;

/** How many fleets and releases are kept, and for how long: found ones, and others. */
const MAX_FLEETS = 200;
const MAX_RELEASES = 500;
/** What each may take, in bytes: mostly a few KB each, 1 MB where somebody wants it so. */
const MAX_BYTES = 8 * 1024 * 1024;
const FRESH_MS = 60_000;
const NOT_FOUND_MS = 10_000;

/** Names of registries like this one, which people have in what they paste. */
const KNOWN_HOSTS = ['bh.cr', 'bhcr.io'];

/** @returns what pages show to a caller, who is anonymous: what they cost is counted as its own */
export function pageData(app: FastifyInstance, config: Config): (caller: Caller) => PageData {
	const onStale = (error: unknown): void =>
		app.log.warn({ error: (error as Error).message }, 'the balena API is unavailable: showing pages from what is remembered');
	const fleets = new LoadingCache<FleetPageData | undefined>({ max: MAX_FLEETS, maxBytes: MAX_BYTES, sizeOf, onStale });
	const releases = new LoadingCache<PageRelease | undefined>({ max: MAX_RELEASES, maxBytes: MAX_BYTES, sizeOf, onStale });
	const lifeOf = (value: unknown): { freshMs: number; staleMs?: number } =>
		value === undefined ? { freshMs: NOT_FOUND_MS } : { freshMs: FRESH_MS, staleMs: config.STALE_TTL };

	return (caller) => {
		const data: PageData = {
			fleet: (slug) =>
				fleets.get(slug, async (loading) => {
					const rows = await app.api.query('application', fleetPageQuery(slug), caller, loading);
					const value = parseAnswer(parseFleetPage, rows);
					return { value, ...lifeOf(value) };
				}),

			async release(reference, fleet) {
				const found = await findRelease(reference, fleet);
				const { service } = reference;
				if (reference.release === undefined && service === undefined) {
					return found;
				}
				return found !== undefined && (service === undefined || found.images.some((image) => image.service.toLowerCase() === service))
					? found
					: ((await data.failure(reference)) ?? `${fleet.slug} has no such release`);
			},

			async block(reference) {
				const outcome = await outcomeOf(reference);
				if (reference.kind !== 'fleet' || outcome.kind !== 'block') {
					return undefined;
				}
				return Promise.all(
					outcome.images.map(async ({ architecture, version, digest }) => {
						const slug = memberSlug(reference.slug, architecture);
						const fleet = await data.fleet(slug);
						const release = fleet && (await findRelease({ ...reference, slug }, fleet));
						const size = release?.images.find((image) => image.digest === digest)?.size ?? 0;
						return { architecture, slug, version, digest, size, path: release?.path };
					}),
				);
			},

			async failure(reference) {
				const outcome = await outcomeOf(reference);
				return outcome.kind === 'failure' ? outcome.message : undefined;
			},

			async trial(typed, host) {
				const { name, tag, digest } = readTyped(typed, [host, ...KNOWN_HOSTS]);
				const named = parseReference(name);
				const { reference, outcome, isTagUsed } = await outcomeWithTag(named, tag);
				const notes = [isTagUsed ? undefined : tagNote(named, tag, config.TAGS), digestNote(outcome, digest)];
				return {
					typed,
					reference: isTagUsed ? `${name}:${tag}` : name,
					outcome,
					exact: await exactName(reference, outcome),
					page: await pageOf(reference, outcome),
					notes: notes.filter((note) => note !== undefined),
				};
			},
		};

		/** What a pull would get, by the rules of docs/tags.md. */
		async function outcomeWithTag(
			named: Reference,
			tag: string | undefined,
		): Promise<{ reference: Reference; outcome: Outcome; isTagUsed: boolean }> {
			if (tag !== undefined && isBareFleet(named) && config.TAGS !== 'ignore') {
				const reference = { ...named, release: parseReleaseText(tag) };
				const outcome = await outcomeOf(reference);
				if (config.TAGS === 'strict' || outcome.kind !== 'failure' || outcome.absent !== 'release') {
					return { reference, outcome, isTagUsed: true };
				}
			}
			return { reference: named, outcome: await outcomeOf(named), isTagUsed: false };
		}

		/** One of those that are listed, or one that is not, such as a draft. */
		async function findRelease(
			{ release, slug }: FleetReference,
			{ releases: listed, trackedCommit }: FleetPageData,
		): Promise<PageRelease | undefined> {
			const wanted = release ?? trackedCommit;
			if (wanted === undefined) {
				return listed[0];
			}
			const known = listed.find(({ commit, path }) => path === wanted || commit === wanted) ?? (await lookUp(slug, wanted));
			return listed.find(({ commit }) => commit === known?.commit) ?? known ?? (release === undefined ? listed[0] : undefined);
		}

		function lookUp(slug: string, release: ReleaseText): Promise<PageRelease | undefined> {
			return releases.get(`${slug} ${release}`, async (loading) => {
				const query = pageReleaseQuery({ slug, release });
				const rows = query === undefined ? [] : await app.api.query('release', query, caller, loading);
				const value = parseAnswer((rows) => {
					const match = matchRelease(parseReleases(rows), release);
					const found = match.kind === 'one' ? parsePageReleases(rows).find(({ commit }) => commit === match.release.commit) : undefined;
					return found && { ...found, path: release };
				}, rows);
				return { value, ...lifeOf(value) };
			});
		}

		async function outcomeOf(reference: Reference): Promise<Outcome> {
			switch (reference.kind) {
				case 'fleet':
					return app.resolver.resolve(reference, caller);
				case 'repository':
					return {
						kind: 'failure',
						message: `${reference.repository} is the name that the registry itself gave to an image; of which fleet it is, is not known here`,
					};
				case 'invalid':
					return { kind: 'failure', message: reference.message };
			}
		}

		/** A name for the release that an image is of which does not move on to another, and its service. */
		async function exactName(reference: Reference, outcome: Trial['outcome']): Promise<string | undefined> {
			const fleet = reference.kind === 'fleet' && outcome.kind === 'image' ? await data.fleet(reference.slug) : undefined;
			if (reference.kind !== 'fleet' || fleet === undefined) {
				return undefined;
			}
			const found = await findRelease(reference, fleet);
			// One that is not listed goes by what was typed, which may be a series.
			const release = found && (fleet.releases.includes(found) ? found.path : found.commit);
			return release && [reference.slug, release, ...(reference.service === undefined ? [] : [reference.service])].join('/');
		}

		/** A release's page, or for what failed, the fleet's, if it has one. */
		async function pageOf(reference: Reference, outcome: Trial['outcome']): Promise<string | undefined> {
			if (reference.kind !== 'fleet') {
				return undefined;
			}
			const { slug, release, service } = reference;
			return outcome.kind !== 'failure'
				? [slug, release ?? (service && 'latest'), service].filter((part) => part !== undefined).join('/')
				: (await data.fleet(slug)) && slug;
		}

		return data;
	};
}

/** About as many bytes as a value takes, which is more than its JSON has. */
function sizeOf(value: unknown): number {
	return 2 * (JSON.stringify(value) ?? '').length + 100;
}

function tagNote(reference: Reference, tag: string | undefined, mode: Config['TAGS']): string | undefined {
	if (tag === undefined || isTracked(tag) || reference.kind !== 'fleet') {
		return undefined;
	}
	if (!isBareFleet(reference)) {
		return 'The tag is ignored, because the name says which release it is.';
	}
	return mode === 'ignore'
		? `The tag is ignored here, so this is about the release that the fleet tracks. For release ${tag}, write ${reference.slug}/${tag}.`
		: `The tag ${tag} names no release of ${reference.slug} and is ignored, so this is about the release that the fleet tracks.`;
}

function digestNote(outcome: Trial['outcome'], digest: string | undefined): string | undefined {
	return digest === undefined || outcome.kind !== 'image' || outcome.digest === digest
		? undefined
		: 'The digest that was given is not the one of this image. It may be of another release, or of one platform of several.';
}
