import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { randomBytes } from 'node:crypto';
import { ANONYMOUS, parseCaller, type Caller } from '../../src/balena/caller.ts';
import type { Config } from '../../src/config.ts';
import { seal, sealingKey, unseal } from '../../src/token/seal.ts';
import type { ClientToken } from '../../src/token/client-token.ts';

/** How long sealed credentials can be used. Clients are told that the token lives no longer, and ask for another one. */
export const SEALED_LIFE_MS = 10 * 60_000;

declare module 'fastify' {
	interface FastifyInstance {
		sealedCredentials: {
			/** @returns credentials that a client can carry but not read, valid for these fleets; undefined where there are none, or nothing to need them for */
			seal(caller: Caller, slugs: string[]): string | undefined;
			/** @returns on whose behalf a token lets this proxy act for a fleet; undefined where it carries credentials that cannot be used any more */
			callerOf(token: ClientToken, slug: string): Caller | undefined;
		};
	}
}

/** Acting for the holder of a token, after the request that brought the credentials is gone. See docs/tags.md. */
export default fp(
	async (app: FastifyInstance, { TAGS, TOKEN_SECRET }: Config) => {
		if (TAGS === 'release' && TOKEN_SECRET === undefined) {
			app.log.warn('TOKEN_SECRET is not set: private releases can be pulled by tag only through the process that issued the token');
		}
		const isNeeded = TAGS === 'release' || TOKEN_SECRET !== undefined;
		const key = sealingKey(TOKEN_SECRET ?? randomBytes(32).toString('base64'));

		app.decorate('sealedCredentials', {
			seal: (caller, slugs) =>
				isNeeded && caller.kind === 'credentials' && slugs.length > 0
					? seal({ authorization: caller.authorization, slugs, expiresAt: Date.now() + SEALED_LIFE_MS }, key)
					: undefined,
			callerOf: ({ sealed }, slug) => {
				if (sealed === undefined) {
					return ANONYMOUS;
				}
				const authorization = unseal(sealed, slug, key, Date.now());
				return authorization === undefined ? undefined : parseCaller(authorization);
			},
		});
	},
	{ name: 'sealed-credentials' },
);
