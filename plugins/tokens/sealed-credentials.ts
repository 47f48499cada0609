import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { randomBytes } from 'node:crypto';
import { ANONYMOUS, parseCaller, type Caller } from '../../src/balena/caller.ts';
import type { Config } from '../../src/config.ts';
import { mayUse, seal, sealingKey, unseal } from '../../src/token/seal.ts';
import type { ClientToken } from '../../src/token/client-token.ts';

/** How long sealed credentials can be used. Clients are told that the token lives no longer, and ask for another one. */
export const SEALED_LIFE_MS = 10 * 60_000;

declare module 'fastify' {
	interface FastifyInstance {
		sealedCredentials: {
			/**
			 * @param slugs as `sealedFor`
			 * @returns credentials that a client can carry but not read, valid for these fleets and blocks; undefined where there
			 * are none, or nothing to need them for
			 */
			seal(caller: Caller, slugs: string[]): string | undefined;
			/**
			 * @returns on whose behalf a token lets this proxy act for a fleet; undefined where it carries credentials that
			 * cannot be used here, or not any more
			 */
			callerOf(token: ClientToken, slug: string): Caller | undefined;
		};
	}
}

/** Acting for the holder of a token, after the request that brought the credentials is gone. See docs/tags.md. */
export default fp(
	async (app: FastifyInstance, { TOKEN_SECRET }: Config) => {
		const key = sealingKey(TOKEN_SECRET ?? randomBytes(32).toString('base64'));
		let hasWarned = false;

		/** Once, because clients decide how often it happens, and one line is all that an operator needs. */
		function warnOfOtherKey(): void {
			if (!hasWarned) {
				hasWarned = true;
				app.log.warn(
					'a token was sealed with another key than this process has: by a replica, which needs the same TOKEN_SECRET, or before a restart without one. The client was asked for a new token',
				);
			}
		}

		app.decorate('sealedCredentials', {
			seal: (caller, slugs) =>
				caller.kind === 'credentials' && slugs.length > 0
					? seal({ authorization: caller.authorization, slugs, expiresAt: Date.now() + SEALED_LIFE_MS }, key)
					: undefined,
			callerOf: ({ sealed }, slug) => {
				if (sealed === undefined) {
					return ANONYMOUS;
				}
				const content = unseal(sealed, key);
				if (content === undefined) {
					warnOfOtherKey();
				}
				return content !== undefined && mayUse(content, slug, Date.now()) ? parseCaller(content.authorization) : undefined;
			},
		});
	},
	{ name: 'sealed-credentials' },
);
