import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { overloadedError, RegistryError, upstreamError } from '../../src/errors.ts';
import type { Caller, Client } from '../../src/balena/caller.ts';
import { LoadingCache } from '../../src/cache.ts';
import type { Config } from '../../src/config.ts';
import { FairQueue } from '../../src/fair-queue.ts';
import { firstThat } from '../../src/first-that.ts';
import { DigestNotes } from '../../src/registry/digest-notes.ts';
import { upstreamStatusError } from '../../src/registry/error-response.ts';
import { ANY_FORMAT } from '../../src/registry/formats.ts';
import { digestsIn, type Manifest } from '../../src/registry/manifest.ts';
import { provesAccess } from '../../src/registry/proof-of-access.ts';
import { smallRequest } from '../../src/http/small-request.ts';
import type { KnownToken } from '../service/client-tokens.ts';

export type DigestKind = 'manifests' | 'blobs';

export interface DigestSearch {
	/** Of the fleet or block. */
	slug: string;
	/** The fleets in whose releases it is looked for. */
	fleets: readonly string[];
	kind: DigestKind;
	digest: string;
	/** On whose behalf, and for whose client: a search ends when nobody waits for it any more. */
	caller: Caller;
	/** The repositories where it is not, as the registry has just said. */
	except: readonly string[];
}

declare module 'fastify' {
	interface FastifyInstance {
		digestSearch: {
			/**
			 * @returns the repository of a fleet in which a digest is, as far as the caller may see; undefined where it is in
			 * none.
			 * @throws RegistryError where that could not be found out
			 */
			find(search: DigestSearch): Promise<string | undefined>;
			/**
			 * @returns the first of a token's own repositories in which a digest is; one that the token may not read counts as
			 * one without it.
			 * @throws RegistryError likewise
			 */
			among(
				repositories: readonly string[],
				kind: DigestKind,
				digest: string,
				token: KnownToken,
				client: Client,
			): Promise<string | undefined>;
			/**
			 * @returns whether the registry has a digest in a repository.
			 * @throws RegistryError likewise: only 404 means that it has not, and only the registry's own word that it has
			 */
			isIn(
				repository: string,
				kind: DigestKind,
				digest: string,
				upstreamToken: string,
				address: string | undefined,
				signal: AbortSignal,
			): Promise<boolean>;
			/** From where digests were served, to whom. */
			notes: DigestNotes;
			/** Notes for a caller who was served a manifest where it, and everything that it refers to, is. */
			note(slug: string, repository: string, manifest: Manifest, caller: Caller): void;
		};
	}
}

const MAX_NOTES = 100_000;
const MAX_SEARCHES = 10_000;
const FOUND_MS = 10 * 60_000;
const NOT_FOUND_MS = 10_000;
/** Lists of a fleet's repositories, each of some 2 KB, are kept for as long as a new release may take to be seen elsewhere. */
const MAX_LISTS = 1000;
const LIST_MS = 60_000;
/** Searches at the same time, shared between clients: each has up to six requests to the registry under way. */
const MAX_RUNNING = 16;

/** Which of a fleet's repositories holds a digest: docs/tags.md, "The way through the code". */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const notes = new DigestNotes({ max: MAX_NOTES, lifeMs: FOUND_MS });
		const running = new FairQueue({
			capacity: MAX_RUNNING,
			queue: config.REGISTRY_QUEUE,
			waitMs: config.REGISTRY_CONNECT_TIMEOUT,
			refusal: () => overloadedError('registry'),
		});
		const searches = new LoadingCache<string | undefined>({ max: MAX_SEARCHES });
		const lists = new LoadingCache<string[]>({ max: MAX_LISTS });

		async function search({ fleets, kind, digest, caller, except }: DigestSearch, signal: AbortSignal): Promise<string | undefined> {
			if (kind === 'manifests') {
				app.charge('cold name', caller.client?.address);
			}
			const known = kind === 'manifests' ? await app.resolver.repositoryOf(fleets, digest, caller) : undefined;
			if (known !== undefined && !except.includes(known)) {
				return known;
			}
			const all = await lists.get([caller.fingerprint, ...fleets].join(' '), async () => ({
				value: await app.resolver.repositories(fleets, caller),
				freshMs: Math.min(config.RESOLUTION_TTL, LIST_MS),
			}));
			const repositories = all.filter((repository) => !except.includes(repository));
			if (repositories.length === 0) {
				return undefined;
			}
			signal.throwIfAborted();
			app.charge('search', caller.client?.address);
			const { text } = await app.upstreamTokens.get(repositories, caller, { keep: true });
			const address = caller.client?.address;
			return askEach(repositories, caller.kind === 'credentials', address, signal, (repository, stop) =>
				isIn(repository, kind, digest, text, address, stop),
			);
		}

		function askEach(
			repositories: readonly string[],
			isKnown: boolean,
			address: string | undefined,
			signal: AbortSignal,
			ask: (repository: string, signal: AbortSignal) => Promise<boolean>,
		): Promise<string | undefined> {
			return running.run({ client: app.shareOf(address), isKnown }, signal, async () => firstThat(repositories, ask, signal));
		}

		/** One search for all who want the same. */
		function shared(
			key: string,
			client: Client | undefined,
			load: (signal: AbortSignal) => Promise<string | undefined>,
		): Promise<string | undefined> {
			return searches.get(
				key,
				async ({ signal }) => {
					const value = await load(signal);
					return { value, freshMs: value === undefined ? NOT_FOUND_MS : FOUND_MS };
				},
				client?.connection,
			);
		}

		async function isIn(
			repository: string,
			kind: DigestKind,
			digest: string,
			upstreamToken: string,
			address: string | undefined,
			signal: AbortSignal,
		): Promise<boolean> {
			const { status, headers } = await smallRequest(app.registry.dispatcher, {
				origin: config.REGISTRY_URL,
				path: `/v2/${repository}/${kind}/${digest}`,
				method: 'HEAD',
				headers: { authorization: `Bearer ${upstreamToken}`, accept: ANY_FORMAT },
				maxBytes: 0,
				client: app.shareOf(address),
				signal,
			}).catch((error: unknown) => {
				throw upstreamError('registry', error);
			});
			// What is found is remembered, so that a page of whatever is in front of the registry must not be taken for it.
			const isThere = (status === 200 || kind === 'blobs') && provesAccess({ kind: 'blob', status, headers, digest });
			if (!isThere && status !== 404) {
				throw status === 401
					? new RegistryError('UNAUTHORIZED', 'the registry does not accept the token')
					: upstreamStatusError(status, { kind: kind === 'blobs' ? 'blob' : 'manifest', name: 'this fleet', item: digest }, headers);
			}
			return isThere;
		}

		app.decorate('digestSearch', {
			isIn,
			notes,
			find: async (wanted) => {
				const { slug, fleets, digest, kind, caller, except } = wanted;
				const noted = notes.find(slug, digest, caller.fingerprint);
				if (noted !== undefined && !except.includes(noted)) {
					return noted;
				}
				// All that the outcome depends on: which fleets a block has is in the token, and so anybody's word.
				const key = [caller.fingerprint, kind, slug, digest, ...fleets, ...except].join(' ');
				// What it asks for on the way is for all who wait: it ends with the last of them, and not with the one who began it.
				const forAll = { ...caller, client: caller.client && { address: caller.client.address } };
				return shared(key, caller.client, (signal) => search({ ...wanted, caller: forAll }, signal));
			},
			among: (repositories, kind, digest, token, client) =>
				shared(['token', token.fingerprint, kind, digest, ...repositories].join(' '), client, async (signal) => {
					const { address } = client;
					app.charge('search', address);
					return askEach(repositories, token.isGenuine(), address, signal, (repository, stop) =>
						isIn(repository, kind, digest, token.upstream, address, stop).catch(isRefusal),
					);
				}),
			note: (slug, repository, manifest, caller) =>
				notes.add(slug, repository, manifest.digest, () => digestsIn(manifest), caller.fingerprint),
		});
	},
	{ name: 'digest-search', dependencies: ['rate-limit', 'registry', 'resolver', 'upstream-tokens'] },
);

/** @returns false for what the token may not read. @throws anything else again */
function isRefusal(error: unknown): false {
	if (error instanceof RegistryError && (error.code === 'UNAUTHORIZED' || error.code === 'DENIED')) {
		return false;
	}
	throw error;
}
