import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { LRUCache } from 'lru-cache';
import { lruCache } from '../../src/lru.ts';
import { hash } from 'node:crypto';
import type { Config } from '../../src/config.ts';
import { parseToken, readJwt, type ClientToken } from '../../src/token/client-token.ts';

/** A client's token, with what this process knows of it. */
export interface KnownToken extends ClientToken {
	/** Names the upstream token without revealing it. */
	fingerprint: string;
	/** Whether the upstream registry has itself accepted this token for a repository, not long ago; `''` is the registry as a whole. */
	isAccepted(repository: string): boolean;
	/** Whether it has accepted it for anything at all. */
	isGenuine(): boolean;
	/** Notes that it has just done so. */
	accept(repository: string): void;
}

declare module 'fastify' {
	interface FastifyInstance {
		clientTokens: {
			/** @returns the token of an `Authorization` header; undefined where it is none that could have been issued */
			read(authorization: string): KnownToken | undefined;
			/** The same, only for what is remembered. */
			known(authorization: string): KnownToken | undefined;
			/** Forgets for what an upstream token was accepted: the registry refuses the token itself. */
			forget(upstream: string): void;
			/** How many tokens are remembered. */
			readonly size: number;
		};
	}
}

/** What remembered tokens may take, in bytes: the part after the `~` can be anything, so their number alone is no bound. */
const MAX_BYTES = 32 * 1024 * 1024;
/** Of a token besides its text, which is kept once as it came and once as it was read. */
const OVERHEAD_BYTES = 1000;
/**
 * How many upstream tokens' acceptances are remembered, and of each for how many repositories: some 10 KB each, mostly less than
 * 500 bytes.
 */
const MAX_ACCEPTANCES = 10_000;
const MAX_REPOSITORIES = 64;
/** For how long, where the registry is asked each time: only to spare the reading of a token. */
const READ_MS = 30_000;
/** How often those are let go of that are not accepted any more; nothing depends on when exactly. */
const PURGE_MS = 30_000;

/** For which repositories the registry has accepted an upstream token, each until when, in milliseconds since the epoch. */
type Acceptance = Map<string, number>;

/**
 * Bearer tokens, remembered by their hash from when the registry has accepted them, so that a pull's further requests cost no
 * more than a look-up. Not before: anybody can send any number of tokens that nobody has issued. And not for longer than the
 * registry's word counts: then they are secrets that are of no use. That word is kept by the upstream's part of a token, so that
 * no number of texts around one upstream token makes others forgotten.
 */
export default fp(
	async (app: FastifyInstance, { AUTHORIZATION_TTL }: Config) => {
		const ttl = AUTHORIZATION_TTL || READ_MS;
		const tokens = new LRUCache<string, KnownToken>({ maxSize: MAX_BYTES, ttl, ttlResolution: 1000 });
		const acceptances = lruCache<Acceptance>(MAX_ACCEPTANCES, { ttl, ttlResolution: 1000 });
		const purge = (): void => {
			tokens.purgeStale();
			acceptances.purgeStale();
		};
		const purging = setInterval(purge, Math.min(PURGE_MS, Math.max(AUTHORIZATION_TTL, 1000)));
		purging.unref();
		app.addHook('onClose', async () => clearInterval(purging));

		function known(token: ClientToken, key: string, size: number): KnownToken {
			const { expiresAt = 0 } = readJwt(token.upstream);
			const fingerprint = hashOf(token.upstream);
			let accepted = acceptances.get(fingerprint) ?? new Map<string, number>();
			const itself: KnownToken = {
				...token,
				fingerprint,
				isAccepted: (repository) => (accepted.get(repository) ?? 0) > Date.now(),
				isGenuine: () => (accepted.get(GENUINE) ?? 0) > Date.now(),
				accept: (repository) => {
					// Of several that were read at the same time, they all use what was noted first. It may have been forgotten since.
					accepted = acceptances.get(fingerprint) ?? accepted;
					// The claims can be believed here, because the registry has just verified them.
					const until = Math.min(Date.now() + AUTHORIZATION_TTL, expiresAt);
					accepted.set(GENUINE, until);
					if (accepted.size <= MAX_REPOSITORIES || accepted.has(repository)) {
						accepted.set(repository, until);
					}
					acceptances.set(fingerprint, accepted);
					tokens.set(key, itself, { size });
				},
			};
			return itself;
		}

		app.decorate('clientTokens', {
			read: (authorization) => {
				const text = bearerOf(authorization);
				if (text === undefined) {
					return undefined;
				}
				const key = keyOf(text);
				const remembered = tokens.get(key);
				if (remembered !== undefined) {
					return remembered;
				}
				const parsed = parseToken(text);
				return parsed && known(parsed, key, 2 * text.length + OVERHEAD_BYTES);
			},
			known: (authorization) => {
				const text = bearerOf(authorization);
				return text === undefined ? undefined : tokens.get(keyOf(text));
			},
			forget: (upstream) => {
				const fingerprint = hashOf(upstream);
				// Also for those that were read before.
				acceptances.get(fingerprint)?.clear();
				acceptances.delete(fingerprint);
			},
			get size() {
				return tokens.size;
			},
		});
	},
	{ name: 'client-tokens' },
);

/** Among the repositories of an acceptance: no repository has this name. */
const GENUINE = ' ';

function bearerOf(authorization: string): string | undefined {
	return authorization.length < 7 || authorization.slice(0, 7).toLowerCase() !== 'bearer ' ? undefined : authorization.slice(7).trim();
}

function hashOf(text: string): string {
	return hash('sha256', text, 'base64url');
}

/** The last token and its key: a pull sends the same with each request, and to compare is less than a tenth of the work. */
let last = { text: '', key: '' };

function keyOf(text: string): string {
	if (text !== last.text) {
		last = { text, key: hashOf(text) };
	}
	return last.key;
}
