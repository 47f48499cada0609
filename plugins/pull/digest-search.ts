import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { LRUCache } from 'lru-cache';
import { upstreamError } from '../../src/errors.ts';
import type { Caller } from '../../src/balena/caller.ts';
import { LoadingCache } from '../../src/cache.ts';
import type { Config } from '../../src/config.ts';
import { digestsIn, type Manifest } from '../../src/registry/manifest.ts';
import { smallRequest } from '../../src/http/small-request.ts';

declare module 'fastify' {
	interface FastifyInstance {
		digestSearch: {
			/** @returns the repository of a fleet in which a digest is, as far as the caller may see; undefined where it is in none. @throws RegistryError where nobody can be asked */
			find(slug: string, kind: 'manifests' | 'blobs', digest: string, caller: Caller): Promise<string | undefined>;
			/** Notes for a caller who was served a manifest where it, and everything that it refers to, is. */
			note(slug: string, repository: string, manifest: Manifest, caller: Caller): void;
		};
	}
}

const MAX_NOTES = 100_000;
const MAX_SEARCHES = 10_000;
const FOUND_MS = 10 * 60_000;
const NOT_FOUND_MS = 10_000;

/** Which of a fleet's repositories holds a digest: for clients that named a tag first and go on by digest. See docs/tags.md. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		// For each caller their own: that there is a note would tell others that a fleet which they may not see has a digest.
		const notes = new LRUCache<string, string>({ max: MAX_NOTES });
		const searches = new LoadingCache<string | undefined>({ max: MAX_SEARCHES });

		async function search(slug: string, kind: 'manifests' | 'blobs', digest: string, caller: Caller): Promise<string | undefined> {
			const known = kind === 'manifests' ? await app.resolver.repositoryOf(slug, digest, caller) : undefined;
			if (known !== undefined) {
				return known;
			}
			const repositories = await app.resolver.repositories(slug, caller);
			if (repositories.length === 0) {
				return undefined;
			}
			const { text } = await app.upstreamTokens.get(repositories, caller, { keep: true });
			const holds = await Promise.all(repositories.map((repository) => has(`/v2/${repository}/${kind}/${digest}`, text)));
			return repositories.find((_repository, i) => holds[i]);
		}

		async function has(path: string, token: string): Promise<boolean> {
			try {
				const headers = { authorization: `Bearer ${token}`, accept: ANY_MANIFEST };
				return (
					(await smallRequest(app.registry.dispatcher, { origin: config.REGISTRY_URL, path, method: 'HEAD', headers, maxBytes: 0 }))
						.status < 400
				);
			} catch (error) {
				throw upstreamError('registry', error);
			}
		}

		app.decorate('digestSearch', {
			find: async (slug, kind, digest, caller) =>
				notes.get(noteKey(slug, digest, caller)) ??
				searches.get([caller.fingerprint, kind, slug, digest].join(' '), async () => {
					const value = await search(slug, kind, digest, caller);
					return { value, freshMs: value === undefined ? NOT_FOUND_MS : FOUND_MS };
				}),
			note: (slug, repository, manifest, caller) => {
				for (const digest of digestsIn(manifest)) {
					notes.set(noteKey(slug, digest, caller), repository);
				}
			},
		});
	},
	{ name: 'digest-search', dependencies: ['registry', 'resolver', 'upstream-tokens'] },
);

/** A registry finds a manifest only for a client that takes its media type. */
const ANY_MANIFEST = [
	'application/vnd.oci.image.index.v1+json',
	'application/vnd.oci.image.manifest.v1+json',
	'application/vnd.docker.distribution.manifest.list.v2+json',
	'application/vnd.docker.distribution.manifest.v2+json',
	'*/*',
].join(', ');

function noteKey(slug: string, digest: string, caller: Caller): string {
	return `${caller.fingerprint} ${slug} ${digest}`;
}
