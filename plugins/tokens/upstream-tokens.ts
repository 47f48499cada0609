import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { lruCache } from '../../src/lru.ts';
import type { Caller } from '../../src/balena/caller.ts';
import { LoadingCache, type CacheCounts, type Loaded, type Loading } from '../../src/cache.ts';
import type { Config } from '../../src/config.ts';
import { readJwt } from '../../src/token/client-token.ts';

export interface UpstreamToken {
	text: string;
	/** Milliseconds since the epoch; undefined where the token does not say. */
	expiresAt: number | undefined;
	/** Whether it lets its holder pull from all the repositories that it was asked for. */
	isComplete: boolean;
}

declare module 'fastify' {
	interface FastifyInstance {
		upstreamTokens: {
			/**
			 * @returns a token of the balena API that lets the caller pull from all the repositories; for none, proof that the
			 * credentials are valid
			 * @param options.keep keep a token that was got with credentials for a minute, for these credentials only
			 * @throws RegistryError where the login is refused or the API cannot be asked
			 */
			get(repositories: readonly string[], caller: Caller, options?: { keep?: boolean }): Promise<UpstreamToken>;
			/** @returns the kept token for the same, if there is one in memory: nobody is asked for it */
			peek(repositories: readonly string[], caller: Caller): Promise<UpstreamToken | undefined>;
			/** Forgets a token, wherever it is remembered: the registry refuses it as invalid, because the API has other keys now. */
			forget(text: string): void;
			/** Called when a token is forgotten that was remembered. */
			readonly onForget: (() => void)[];
			readonly counts: CacheCounts & { size: number };
		};
	}
}

/** Of tokens that are remembered: they have 1 to 2 KB, though the API may give up to 64. */
const MAX_BYTES = 8 * 1024 * 1024;
const OVERHEAD_BYTES = 500;

/** A token is not handed out in the last minute of its life: clients treat 60 s as the shortest there is. */
const LAST_MINUTE_MS = 60_000;

/** How long a token got with credentials may be kept, where this proxy acts for the holder of a token and needs it for many requests. */
const KEPT_MS = 60_000;

/**
 * Upstream tokens. An anonymous caller's are the same for everybody and kept; those got with credentials are not, but asked for
 * once at a time.
 */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const cache = new LoadingCache<UpstreamToken>({
			max: config.TOKEN_CACHE_SIZE,
			maxBytes: MAX_BYTES,
			sizeOf: ({ text }) => text.length + OVERHEAD_BYTES,
			onStale: (error) =>
				app.log.warn({ error: (error as Error).message }, 'the balena API is unavailable: an anonymous token is the one remembered'),
		});

		const keyOf = (service: string, sorted: string[], caller: Caller, keep: boolean): string =>
			[caller.fingerprint, keep ? 'keep' : '', service, ...sorted].join(' ');
		/** Under which key a token is remembered, by its text. */
		const keys = lruCache<string>(2 * config.TOKEN_CACHE_SIZE);

		const onForget: (() => void)[] = [];

		app.decorate('upstreamTokens', {
			peek: async (repositories, caller) => cache.peek(keyOf(await app.challenge.service(), [...repositories].sort(), caller, true)),
			get: async (repositories, caller, { keep = false } = {}) => {
				const service = await app.challenge.service();
				const sorted = [...repositories].sort();
				const key = keyOf(service, sorted, caller, keep);
				const load = async (loading: Loading): Promise<Loaded<UpstreamToken>> => {
					const text = await app.api.token(service, sorted, caller, loading);
					const { expiresAt, access } = readJwt(text);
					const value = { text, expiresAt, isComplete: sorted.every((repository) => grantsPull(access, repository)) };
					const lifeMs = Math.max(0, (expiresAt ?? 0) - Date.now() - LAST_MINUTE_MS);
					// The API remembers refusals itself, for minutes: one that is remembered here as well would outlast them.
					if (!value.isComplete) {
						return { value, freshMs: 0 };
					}
					keys.set(text, key);
					if (caller.kind !== 'anonymous') {
						return { value, freshMs: keep ? Math.min(KEPT_MS, lifeMs) : 0 };
					}
					const freshMs = Math.min(config.TOKEN_TTL, lifeMs);
					return { value, freshMs, staleMs: Math.min(config.STALE_TTL, lifeMs - freshMs) };
				};
				return cache.get(key, load, caller.client?.connection);
			},
			onForget,
			forget(text) {
				const key = keys.get(text);
				if (key !== undefined) {
					keys.delete(text);
					cache.forget(key);
					onForget.forEach((listener) => listener());
				}
			},
			get counts() {
				return { ...cache.counts, size: cache.size };
			},
		});
	},
	{ name: 'upstream-tokens', dependencies: ['api', 'challenge'] },
);

/** Whether a token's claim "access" (distribution, "Token Authentication Implementation") has a repository with the action "pull". */
function grantsPull(access: unknown[], repository: string): boolean {
	return access.some((entry) => {
		const { name, actions } = (entry ?? {}) as { name?: unknown; actions?: unknown };
		return name === repository && Array.isArray(actions) && actions.includes('pull');
	});
}
