import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { lruCache } from '../../src/lru.ts';
import { setTimeout as wait } from 'node:timers/promises';
import { fingerprintOf, type Caller } from '../../src/balena/caller.ts';
import type { Config } from '../../src/config.ts';
import { clientKey } from '../../src/http/client-address.ts';
import { derivedKey } from '../../src/token/derived-key.ts';
import { tooMany } from './too-many.ts';

declare module 'fastify' {
	interface FastifyInstance {
		loginLimit: {
			/**
			 * Does something that tells whether a caller's credentials are valid. Each try counts as a failure until it is known
			 * not to be one, so that many at once are no more than many in a row; of the same credentials one at a time is tried,
			 * and when they were valid, the others need not wait.
			 *
			 * @param isRefusal whether an error says that the credentials are not valid
			 * @throws TOOMANYREQUESTS where too many have failed already, from the address or with the credentials; what `attempt` throws
			 */
			attempt<T>(request: FastifyRequest, caller: Caller, attempt: () => Promise<T>, isRefusal: (error: unknown) => boolean): Promise<T>;
		};
	}
}

/** How many times more failures one address may have than one pair of credentials: others behind it may have good ones. */
const ADDRESS_SHARE = 10;
/** Credentials that were valid are let through however many others fail, for so long, and for so many. */
const PROVEN_MS = 3600_000;
const MAX_PROVEN = 10_000;
/** How long one try is waited for by another with the same credentials, in milliseconds: when the API hangs, it may hold up nobody else. */
const PATIENCE_MS = 2000;

type Credentials = Extract<Caller, { kind: 'credentials' }>;

/** Separates this use of a secret from any other. */
const PURPOSE = 'open-balena-registry-proxy failed logins 1';

/** Failed logins, by address and by the credentials that failed. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const { counts } = app;
		const windowMs = config.LOGIN_FAILURES_WINDOW;
		const max = config.LOGIN_FAILURES_MAX;
		const credentialKey = credentialKeys(config);
		const proven = lruCache<true>(MAX_PROVEN, { ttl: PROVEN_MS });
		const trying = new Map<string, Promise<void>>();

		/** @returns the keys under which a failure is counted in advance. @throws TOOMANYREQUESTS, with nothing counted */
		async function reserve(request: FastifyRequest, caller: Credentials): Promise<string[]> {
			const limits: [key: string, max: number][] = [
				[`login ${credentialKey(caller)}`, max],
				[`login ${clientKey(request.ip)}`, max * ADDRESS_SHARE],
			];
			const taken: string[] = [];
			for (const [key, most] of limits) {
				// Without Redis, requests are let through.
				const count = await counts.take(key, windowMs, most).catch(() => undefined);
				if (count !== undefined) {
					taken.push(...count.keys);
				}
				if (count !== undefined && count.current > most) {
					await counts.giveBack(taken);
					throw tooMany('too many failed logins; check the API key, and try again later', count.ttl, 'login');
				}
			}
			return taken;
		}

		app.decorate('loginLimit', {
			attempt: async (request, caller, attempt, isRefusal) => {
				if (max === 0 || caller.kind !== 'credentials' || app.isWithoutLimits(request.ip)) {
					return attempt();
				}
				const { fingerprint } = caller;
				const patience = Date.now() + PATIENCE_MS;
				for (let before = trying.get(fingerprint); before !== undefined && Date.now() < patience; before = trying.get(fingerprint)) {
					await Promise.race([before, wait(PATIENCE_MS, undefined, { ref: false })]);
				}
				const wasProven = proven.has(fingerprint);
				const turn = Promise.withResolvers<void>();
				if (!wasProven) {
					trying.set(fingerprint, turn.promise);
				}
				let reserved: string[] = [];
				try {
					reserved = wasProven ? [] : await reserve(request, caller);
					const value = await attempt();
					proven.set(fingerprint, true);
					await counts.giveBack(reserved);
					return value;
				} catch (error) {
					if (!isRefusal(error)) {
						await counts.giveBack(reserved);
					} else if (wasProven) {
						proven.delete(fingerprint);
						await reserve(request, caller);
					}
					throw error;
				} finally {
					if (!wasProven) {
						if (trying.get(fingerprint) === turn.promise) {
							trying.delete(fingerprint);
						}
						turn.resolve();
					}
				}
			},
		});
	},
	{ name: 'login-limit', dependencies: ['request-log', 'rate-limit'] },
);

/**
 * A caller's fingerprint means nothing to another process. What replicas count together has to have the same name in each, made
 * with something that they all, and nobody else, know.
 */
function credentialKeys({ REDIS_URL, TOKEN_SECRET }: Config): (caller: Credentials) => string {
	if (REDIS_URL === undefined) {
		return ({ fingerprint }) => fingerprint;
	}
	const key = derivedKey(TOKEN_SECRET ?? REDIS_URL, PURPOSE);
	return ({ authorization }) => fingerprintOf(authorization, key);
}
