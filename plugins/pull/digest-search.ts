import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { overloadedError, RegistryError, upstreamError } from '../../src/errors.ts';
import type { Caller } from '../../src/balena/caller.ts';
import { LoadingCache } from '../../src/cache.ts';
import type { Config } from '../../src/config.ts';
import { FairQueue } from '../../src/fair-queue.ts';
import { DigestNotes } from '../../src/registry/digest-notes.ts';
import { upstreamStatusError } from '../../src/registry/error-response.ts';
import { digestsIn, type Manifest } from '../../src/registry/manifest.ts';
import { isBlobRedirect } from '../../src/registry/proof-of-access.ts';
import { smallRequest } from '../../src/http/small-request.ts';

export type DigestKind = 'manifests' | 'blobs';

export interface DigestSearch {
	slug: string;
	kind: DigestKind;
	digest: string;
	/** On whose behalf. */
	caller: Caller;
	/** The repository where it is not, as the registry has just said. */
	except: string | undefined;
	/** Aborted when the client has gone. */
	signal: AbortSignal;
}

declare module 'fastify' {
	interface FastifyInstance {
		digestSearch: {
			/** @returns the repository of a fleet in which a digest is, as far as the caller may see; undefined where it is in none. @throws RegistryError where that could not be found out */
			find(search: DigestSearch): Promise<string | undefined>;
			/** @returns whether the registry has a digest in a repository. @throws RegistryError likewise: only 404 means that it has not */
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
/** How many repositories of one search are asked at the same time. */
const AT_ONCE = 6;

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
		/** Who waits for a search: it ends when nobody does any more. */
		const waiting = new Map<string, { clients: number; nobody: AbortController }>();

		async function search({ slug, kind, digest, caller, except }: DigestSearch, signal: AbortSignal): Promise<string | undefined> {
			if (kind === 'manifests') {
				app.charge('cold name', caller.client?.address);
			}
			const known = kind === 'manifests' ? await app.resolver.repositoryOf(slug, digest, caller) : undefined;
			if (known !== undefined && known !== except) {
				return known;
			}
			const all = await lists.get(`${caller.fingerprint} ${slug}`, async () => ({
				value: await app.resolver.repositories(slug, caller),
				freshMs: Math.min(config.RESOLUTION_TTL, LIST_MS),
			}));
			const repositories = all.filter((repository) => repository !== except);
			if (repositories.length === 0) {
				return undefined;
			}
			signal.throwIfAborted();
			app.charge('search', caller.client?.address);
			const { text } = await app.upstreamTokens.get(repositories, caller, { keep: true });
			const place = { client: app.shareOf(caller.client?.address), isKnown: caller.kind === 'credentials' };
			return running.run(place, signal, async () =>
				firstThat(repositories, async (repository, stop) => isIn(repository, kind, digest, text, caller.client?.address, stop), signal),
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
				headers: { authorization: `Bearer ${upstreamToken}`, accept: ANY_MANIFEST },
				maxBytes: 0,
				client: app.shareOf(address),
				signal,
			}).catch((error: unknown) => {
				throw upstreamError('registry', error);
			});
			const isThere = status === 200 || (kind === 'blobs' && isBlobRedirect(status));
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
				const { slug, digest, kind, caller, except = '', signal } = wanted;
				const noted = notes.find(slug, digest, caller.fingerprint);
				if (noted !== undefined && noted !== except) {
					return noted;
				}
				const key = [caller.fingerprint, kind, slug, digest, except].join(' ');
				const group = waiting.get(key) ?? { clients: 0, nobody: new AbortController() };
				waiting.set(key, group);
				group.clients++;
				const leave = (): void => {
					group.clients--;
					if (group.clients === 0) {
						waiting.delete(key);
						searches.forget(key);
						group.nobody.abort(new DOMException('the client has gone', 'AbortError'));
					}
				};
				signal.addEventListener('abort', leave, { once: true });
				try {
					return await searches.get(key, async () => {
						const value = await search(wanted, group.nobody.signal);
						return { value, freshMs: value === undefined ? NOT_FOUND_MS : FOUND_MS };
					});
				} finally {
					signal.removeEventListener('abort', leave);
					if (!signal.aborted && --group.clients === 0) {
						waiting.delete(key);
					}
				}
			},
			note: (slug, repository, manifest, caller) =>
				notes.add(slug, repository, manifest.digest, () => digestsIn(manifest), caller.fingerprint),
		});
	},
	{ name: 'digest-search', dependencies: ['rate-limit', 'registry', 'resolver', 'upstream-tokens'] },
);

/**
 * Asks of each, a few at a time, and stops at the first hit, or where the registry asks for fewer requests.
 *
 * @param ask is given up by the signal that it gets
 * @returns undefined where all of them were asked in vain
 * @throws what the first that failed threw, where none of the others was a hit: then nobody knows
 */
async function firstThat(
	all: readonly string[],
	ask: (each: string, signal: AbortSignal) => Promise<boolean>,
	signal: AbortSignal,
): Promise<string | undefined> {
	const stop = new AbortController();
	const signals = AbortSignal.any([signal, stop.signal]);
	const rest = all.values();
	let found: string | undefined;
	let failure: unknown;
	async function askInTurn(): Promise<void> {
		// The iterator is shared, so that each is asked once.
		for (const each of rest) {
			try {
				if (await ask(each, signals)) {
					found ??= each;
					stop.abort(new DOMException('it was found', 'AbortError'));
				}
			} catch (error) {
				failure ??= error;
				if (isPlea(error)) {
					stop.abort(error);
				}
			}
			if (signals.aborted) {
				return;
			}
		}
	}
	await Promise.all(Array.from({ length: AT_ONCE }, askInTurn));
	if (found === undefined && failure !== undefined) {
		throw failure as Error;
	}
	return found;
}

/** Whether an upstream asks to be left alone for a while. */
function isPlea(error: unknown): boolean {
	return error instanceof RegistryError && (error.statusCode === 429 || error.statusCode === 503);
}

/** A registry finds a manifest only for a client that takes its media type. */
const ANY_MANIFEST = [
	'application/vnd.oci.image.index.v1+json',
	'application/vnd.oci.image.manifest.v1+json',
	'application/vnd.docker.distribution.manifest.list.v2+json',
	'application/vnd.docker.distribution.manifest.v2+json',
	'*/*',
].join(', ');
