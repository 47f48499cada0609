import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { LRUCache } from 'lru-cache';
import { hash } from 'node:crypto';
import type { Config } from '../../src/config.ts';
import { parseToken, readJwt, type ClientToken } from '../../src/token/client-token.ts';

/** A client's token, with what this process knows of it. */
export interface KnownToken extends ClientToken {
	/** Names the upstream token without revealing it. */
	fingerprint: string;
	/** Whether the upstream registry has itself accepted this token for a repository, not long ago; `''` is the registry as a whole. */
	isAccepted(repository: string): boolean;
	/** Notes that it has just done so. */
	accept(repository: string): void;
}

declare module 'fastify' {
	interface FastifyInstance {
		clientTokens: {
			/** @returns the token of an `Authorization` header; undefined where it is none that could have been issued */
			read(authorization: string): KnownToken | undefined;
			/** How many tokens are remembered. */
			readonly size: number;
		};
	}
}

/** What remembered tokens may take, in bytes: the part after the `~` can be anything, so their number alone is no bound. */
const MAX_BYTES = 32 * 1024 * 1024;
/** Of a token besides its text, which is kept once as it came and once as it was read. */
const OVERHEAD_BYTES = 1000;
const MAX_REPOSITORIES = 64;
/** For how long, where the registry is asked each time: only to spare the reading of a token. */
const READ_MS = 30_000;
/** How often those are let go of that are not accepted any more; nothing depends on when exactly. */
const PURGE_MS = 30_000;

/**
 * Bearer tokens, remembered by their hash from when the registry has accepted them, so that a pull's further requests cost no more than a look-up. Not before: anybody can send any number of
 * tokens that nobody has issued. And not for longer than the registry's word counts: then they are secrets that are of no use.
 */
export default fp(
	async (app: FastifyInstance, { AUTHORIZATION_TTL }: Config) => {
		const tokens = new LRUCache<string, KnownToken>({ maxSize: MAX_BYTES, ttl: AUTHORIZATION_TTL || READ_MS, ttlResolution: 1000 });
		const purging = setInterval(() => tokens.purgeStale(), Math.min(PURGE_MS, Math.max(AUTHORIZATION_TTL, 1000)));
		purging.unref();
		app.addHook('onClose', async () => clearInterval(purging));

		app.decorate('clientTokens', {
			read: (authorization) => {
				if (authorization.length < 7 || authorization.slice(0, 7).toLowerCase() !== 'bearer ') {
					return undefined;
				}
				const text = authorization.slice(7).trim();
				const key = hash('sha256', text, 'base64url');
				const known = tokens.get(key);
				if (known !== undefined) {
					return known;
				}
				const parsed = parseToken(text);
				const remember = (token: KnownToken): void => void tokens.set(key, token, { size: 2 * text.length + OVERHEAD_BYTES });
				return parsed && knownToken(parsed, AUTHORIZATION_TTL, remember);
			},
			get size() {
				return tokens.size;
			},
		});
	},
	{ name: 'client-tokens' },
);

/** @param remember is called with each acceptance, because the token may have been forgotten since the last; of several that were read at the same time, the last is kept */
function knownToken(token: ClientToken, authorizationTtlMs: number, remember: (token: KnownToken) => void): KnownToken {
	const { expiresAt = 0 } = readJwt(token.upstream);
	const accepted = new Map<string, number>();
	const known: KnownToken = {
		...token,
		fingerprint: hash('sha256', token.upstream, 'base64url'),
		isAccepted: (repository) => (accepted.get(repository) ?? 0) > Date.now(),
		accept: (repository) => {
			if (accepted.size < MAX_REPOSITORIES || accepted.has(repository)) {
				// The claims can be believed here, because the registry has just verified them.
				accepted.set(repository, Math.min(Date.now() + authorizationTtlMs, expiresAt));
			}
			remember(known);
		},
	};
	return known;
}
