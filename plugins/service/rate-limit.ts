import rateLimit, { type FastifyRateLimitStoreCtor } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { clientKey, networkKey } from '../../src/http/client-address.ts';
import type { Config } from '../../src/config.ts';
import type { Limit } from '../../src/errors.ts';
import { blockList, includesAddress } from '../../src/http/networks.ts';
import type { KnownToken } from './client-tokens.ts';
import { connectRedis } from './redis.ts';
import { Counts } from './counts.ts';
import { tooMany } from './too-many.ts';

declare module 'fastify' {
	interface FastifyInstance {
		counts: Counts;
		/** @returns whether an address is one without limits */
		isWithoutLimits(address: string | undefined): boolean;
		/** @returns what stands for a client in shares of what is scarce; empty for those without limits */
		shareOf(address: string | undefined): string;
		/** Counts work that costs others something, whatever request it is for. @throws TOOMANYREQUESTS */
		charge(cost: Cost, address: string | undefined): void;
	}
	interface FastifyRequest {
		/** Whether it is for content that the client's token is good for, as far as is known; undefined until it was looked at. */
		isContent: boolean | undefined;
		/** The client's token, if it was remembered and has been looked up already. */
		knownToken: KnownToken | undefined;
	}
}

/** How many requests for manifests and blobs count as one: a pull has two or three others, but may have a hundred layers. */
const CONTENT_SHARE = 20;
const CONTENT = /^\/v2\/([^?]+)\/(?:manifests|blobs)\/[^/?]+(?:\?|$)/;

/**
 * A name that is in no memory is one or two queries to the API's database; a digest that has to be looked for is some 50 requests
 * to the registry; and of the images of a block, which are up to five where a request looks like one, each that is in no memory
 * is one.
 */
export type Cost = 'cold name' | 'search' | 'cold image';
/** How many of them count as a request. Of a low limit, at least so many a minute are left. */
const COSTS: Record<Cost, { requests: number; least: number; limit: Limit; what: string }> = {
	'cold name': { requests: 20, least: 10, limit: 'name', what: 'new names' },
	search: { requests: 100, least: 5, limit: 'search', what: 'digests of other releases' },
	'cold image': { requests: 1, least: 10, limit: 'address', what: 'images of blocks' },
};

const TOO_MANY = 'too many requests from this address; try again in a moment';

/** Clients read Retry-After only; on every other answer the counts would be noise. */
const QUIET = { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false };

/**
 * Bounds what one client may ask for, in this process or, through Redis, in all replicas together:
 * docs/decisions/0007-cost-fairness-memory.md.
 */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const hasAllowed = config.RATE_LIMIT_ALLOW.length > 0;
		const allowed = blockList(config.RATE_LIMIT_ALLOW);
		const isWithoutLimits = (address: string | undefined): boolean => hasAllowed && includesAddress(allowed, address);
		const counts = new Counts(config.REDIS_URL === undefined ? undefined : await connectRedis(app, config.REDIS_URL));
		app.decorate('counts', counts);
		app.decorate('isWithoutLimits', isWithoutLimits);
		app.decorate('shareOf', (address) => (isWithoutLimits(address) ? '' : networkKey(address)));
		app.decorate('charge', (cost, address) => {
			if (config.RATE_LIMIT_MAX === 0 || isWithoutLimits(address)) {
				return;
			}
			const { requests, least, limit, what } = COSTS[cost];
			// A request for one new name is two questions: what it means, and a token for that.
			const max = Math.max(config.RATE_LIMIT_MAX / requests, Math.min(least, 2 * config.RATE_LIMIT_MAX));
			const { current, ttl } = counts.takeHere(`${cost} ${clientKey(address)}`, config.RATE_LIMIT_WINDOW, max);
			if (current > max) {
				throw tooMany(`too many ${what} from this address; try again in a moment`, ttl, limit);
			}
		});
		app.decorateRequest('isContent', undefined);
		app.decorateRequest('knownToken', undefined);

		const maxOf = (request: FastifyRequest): number => config.RATE_LIMIT_MAX * (isContent(app, request) ? CONTENT_SHARE : 1);
		const keyOf = (request: FastifyRequest): string =>
			isContent(app, request) ? `content ${clientKey(request.ip)}` : clientKey(request.ip);

		await app.register(rateLimit, {
			global: false,
			max: maxOf,
			timeWindow: config.RATE_LIMIT_WINDOW,
			keyGenerator: keyOf,
			...(hasAllowed ? { allowList: (request: FastifyRequest) => isWithoutLimits(request.ip) } : {}),
			addHeadersOnExceeding: QUIET,
			addHeaders: QUIET,
			onExceeded: (request) => {
				request.facts.limit ??= 'address';
			},
			// The plugin throws what this returns, and sets Retry-After itself.
			errorResponseBuilder: () => tooMany(TOO_MANY),
			skipOnError: true,
			// It makes the store itself; a constructor may return another object.
			store: function () {
				return counts;
			} as unknown as FastifyRateLimitStoreCtor,
		});
		if (config.RATE_LIMIT_MAX > 0) {
			app.addHook('onRoute', (route) => {
				if (route.config?.rateLimit === undefined) {
					route.onRequest = [route.onRequest ?? [], limit].flat();
				}
			});
		}

		const limitByRedis = app.rateLimit();
		/** What one process counts by itself is known at once; the plugin awaits five times. */
		function limit(this: FastifyInstance, request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void {
			if (config.REDIS_URL !== undefined) {
				limitByRedis.call(this, request, reply).then(() => done(), done);
				return;
			}
			if (isWithoutLimits(request.ip)) {
				done();
				return;
			}
			const max = maxOf(request);
			const { current, ttl } = counts.takeHere(keyOf(request), config.RATE_LIMIT_WINDOW, max);
			done(current > max ? tooMany(TOO_MANY, ttl, 'address') : undefined);
		}
	},
	{ name: 'rate-limit', dependencies: ['request-log', 'client-tokens'] },
);

/**
 * Only with a token that the registry has accepted, not long ago, and that names what is asked for: anything else may cost more
 * than it looks like.
 */
function isContent(app: FastifyInstance, request: FastifyRequest): boolean {
	if (request.isContent === undefined) {
		const { raw, headers } = request;
		const name = headers.authorization === undefined ? undefined : CONTENT.exec(raw.url ?? '')?.[1];
		const token = name === undefined ? undefined : app.clientTokens.known(headers.authorization!);
		request.knownToken = token;
		request.isContent = token !== undefined && token.isGenuine() && token.grants.has(name!);
	}
	return request.isContent;
}
