import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { lruCache } from '../../src/lru.ts';
import { RegistryError } from '../../src/errors.ts';
import { compareVersions, parseVersion } from '../../src/balena/version.ts';
import { INDEX_TYPES, makeIndex } from '../../src/registry/platform-index.ts';
import type { Manifest } from '../../src/registry/manifest.ts';
import { fleetsOf, type BlockGrant } from '../../src/token/grant.ts';
import type { LoadedChildren } from './block-children.ts';
import type { BlockTarget } from './blocks.ts';
import type { FleetRequest } from './other-releases.ts';
import { goneSignal } from '../service/gone-signal.ts';

declare module 'fastify' {
	interface FastifyInstance {
		indexSearch: {
			/**
			 * Which release of a block an index is of, for a replica that did not make it: the newest ones are made again, one
			 * after the other.
			 *
			 * @returns undefined where it is of none of them. @throws RegistryError what kept it from being found out
			 */
			find(of: FleetRequest<BlockGrant>, digest: string): Promise<BlockTarget | undefined>;
		};
	}
}

/**
 * How many of the newest versions are made again: what a client has got by its tag a moment ago is hardly ever older. Each is up
 * to five manifests.
 */
const MAX_VERSIONS = 8;
/** That an index is of none of them is remembered as for any digest: many clients have the same old pin. */
const MAX_NOWHERE = 1000;
const NOWHERE_MS = 10_000;

export default fp(
	async (app: FastifyInstance) => {
		async function childrenOf(of: FleetRequest<BlockGrant>, version: string): Promise<BlockTarget | undefined> {
			const target = await app.otherReleases.byTag(of, version);
			return 'images' in target ? { ...target, children: await app.blockChildren.loadAll(target, of.request, of.reply) } : undefined;
		}

		const nowhere = lruCache<true>(MAX_NOWHERE, { ttl: NOWHERE_MS });

		app.decorate('indexSearch', {
			find: async (of, digest) => {
				const { token, grant } = of;
				const key = [token.fingerprint, token.sealed ?? '', ...fleetsOf(grant), digest].join(' ');
				if (nowhere.has(key)) {
					return undefined;
				}
				app.charge('search', of.request.ip);
				const versions = (await app.otherReleases.versions(of)) ?? [];
				for (const version of newest(versions)) {
					goneSignal(of.request).throwIfAborted();
					const target = await childrenOf(of, version).catch(unlessUpstreamFails);
					if (target?.children !== undefined && indexWithDigest(target.children, digest) !== undefined) {
						return target;
					}
				}
				nowhere.set(key, true);
				return undefined;
			},
		});
	},
	{ name: 'index-search', dependencies: ['rate-limit', 'other-releases', 'block-children'] },
);

function newest(versions: string[]): string[] {
	return versions
		.flatMap((text) => {
			const version = parseVersion(text);
			return version === undefined ? [] : [{ text, version }];
		})
		.sort((a, b) => compareVersions(b.version, a.version))
		.slice(0, MAX_VERSIONS)
		.map(({ text }) => text);
}

/** That one version cannot be pulled says nothing of the others. */
function unlessUpstreamFails(error: unknown): undefined {
	if (!(error instanceof RegistryError) || error.statusCode >= 500 || error.statusCode === 429 || error.statusCode === 401) {
		throw error;
	}
}

/** @returns the index of one form or the other that has a digest */
export function indexWithDigest({ loaded, failure }: LoadedChildren, digest: string): Manifest | undefined {
	return failure === undefined && loaded.length > 0
		? INDEX_TYPES.map((mediaType) => makeIndex(loaded, mediaType)).find((index) => index.digest === digest)
		: undefined;
}
