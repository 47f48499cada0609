import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { LRUCache } from 'lru-cache';
import { hash } from 'node:crypto';
import type { Config } from '../src/config.ts';
import { parseToken, readJwt, type ClientToken } from '../src/registry/token.ts';

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
		bearer: {
			/** @returns the token of an `Authorization` header; undefined where it is none that could have been issued */
			read(authorization: string): KnownToken | undefined;
		};
	}
}

const MAX_TOKENS = 10_000;
const MAX_REPOSITORIES = 64;

/** Bearer tokens, decoded once and remembered by their hash, so that a pull's further requests cost no more than a look-up. */
export default fp(
	async (app: FastifyInstance, { AUTHORIZATION_TTL }: Config) => {
		const tokens = new LRUCache<string, KnownToken>({ max: MAX_TOKENS });

		app.decorate('bearer', {
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
				if (parsed === undefined) {
					return undefined;
				}
				const token = knownToken(parsed, AUTHORIZATION_TTL);
				tokens.set(key, token);
				return token;
			},
		});
	},
	{ name: 'bearer' },
);

function knownToken(token: ClientToken, authorizationTtlMs: number): KnownToken {
	const { expiresAt = 0 } = readJwt(token.upstream);
	const accepted = new Map<string, number>();
	return {
		...token,
		fingerprint: hash('sha256', token.upstream, 'base64url'),
		isAccepted: (repository) => (accepted.get(repository) ?? 0) > Date.now(),
		accept: (repository) => {
			if (accepted.size < MAX_REPOSITORIES || accepted.has(repository)) {
				// The claims can be believed here, because the registry has just verified them.
				accepted.set(repository, Math.min(Date.now() + authorizationTtlMs, expiresAt));
			}
		},
	};
}
