import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Caller } from '../../src/balena/caller.ts';
import { LoadingCache, type CacheCounts } from '../../src/cache.ts';
import type { Config } from '../../src/config.ts';
import { readJwt } from '../../src/token/client-token.ts';

export interface UpstreamToken {
	text: string;
	/** Milliseconds since the epoch; undefined where the token does not say. */
	expiresAt: number | undefined;
}

declare module 'fastify' {
	interface FastifyInstance {
		upstreamTokens: {
			/**
			 * @returns a token of the balena API that lets the caller pull from all the repositories; for none, proof that the credentials are valid
			 * @param options.keep keep a token that was got with credentials for a minute, for these credentials only
			 * @throws RegistryError where the login is refused or the API cannot be asked
			 */
			get(repositories: readonly string[], caller: Caller, options?: { keep?: boolean }): Promise<UpstreamToken>;
			/** @returns the kept token for the same, if there is one in memory: nobody is asked for it */
			peek(repositories: readonly string[], caller: Caller): Promise<UpstreamToken | undefined>;
			readonly counts: CacheCounts & { size: number };
		};
	}
}

/** A token is not handed out in the last minute of its life: clients treat 60 s as the shortest there is. */
const LAST_MINUTE_MS = 60_000;

/** How long a token got with credentials may be kept, where this proxy acts for the holder of a token and needs it for many requests. */
const KEPT_MS = 60_000;

/** Upstream tokens. An anonymous caller's are the same for everybody and kept; those got with credentials are not, but asked for once at a time. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const cache = new LoadingCache<UpstreamToken>({
			max: config.TOKEN_CACHE_SIZE,
			onStale: (error) =>
				app.log.warn({ error: (error as Error).message }, 'the balena API is unavailable: an anonymous token is the one remembered'),
		});

		const keyOf = (service: string, sorted: string[], caller: Caller, keep: boolean): string =>
			[caller.fingerprint, keep ? 'keep' : '', service, ...sorted].join(' ');

		app.decorate('upstreamTokens', {
			peek: async (repositories, caller) => cache.peek(keyOf(await app.challenge.service(), [...repositories].sort(), caller, true)),
			get: async (repositories, caller, { keep = false } = {}) => {
				const service = await app.challenge.service();
				const sorted = [...repositories].sort();
				return cache.get(keyOf(service, sorted, caller, keep), async () => {
					const text = await app.api.token(service, sorted, caller);
					const { expiresAt } = readJwt(text);
					const value = { text, expiresAt };
					const lifeMs = Math.max(0, (expiresAt ?? 0) - Date.now() - LAST_MINUTE_MS);
					if (caller.kind !== 'anonymous') {
						return { value, freshMs: keep ? Math.min(KEPT_MS, lifeMs) : 0 };
					}
					const freshMs = Math.min(config.TOKEN_TTL, lifeMs);
					return { value, freshMs, staleMs: Math.min(config.STALE_TTL, lifeMs - freshMs) };
				});
			},
			get counts() {
				return { ...cache.counts, size: cache.size };
			},
		});
	},
	{ name: 'upstream-tokens', dependencies: ['api', 'challenge'] },
);
