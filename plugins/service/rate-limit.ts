import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Redis } from 'ioredis';
import { RegistryError } from '../../src/errors.ts';
import { fingerprintOf, type Caller } from '../../src/balena/caller.ts';
import { clientKey, networkKey } from '../../src/http/client-address.ts';
import type { Config } from '../../src/config.ts';
import { derivedKey } from '../../src/token/derived-key.ts';
import { blockList, includesAddress } from '../../src/http/networks.ts';

declare module 'fastify' {
	interface FastifyInstance {
		/** @returns what stands for a client in shares of what is scarce; empty for those without limits */
		shareOf(address: string | undefined): string;
		/** Failed logins, by address and by the credentials that failed. */
		loginLimit: {
			/** @throws TOOMANYREQUESTS where too many have failed already */
			check(request: FastifyRequest, caller: Caller): Promise<void>;
			countFailure(request: FastifyRequest, caller: Caller): Promise<void>;
		};
	}
	interface FastifyRequest {
		/** Names the credentials whose failures are counted, without revealing them. */
		credentialKey: string;
	}
}

/** How many requests for manifests and blobs count as one: a pull has two or three others, but may have a hundred layers. */
const CONTENT_SHARE = 20;
/** How many times more failures one address may have than one pair of credentials: others behind it may have good ones. */
const ADDRESS_SHARE = 10;
const CONTENT = /\/(?:manifests|blobs)\/[^/?]+(?:\?|$)/;

/** Clients read Retry-After only; on every other answer the counts would be noise. */
const QUIET = { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false };

/** Waits for Redis, in milliseconds. Without it requests are let through, so none may hang on it. */
const REDIS_TIMEOUT_MS = 250;
const REDIS_COMPLAINT_MS = 30_000;

type Credentials = Extract<Caller, { kind: 'credentials' }>;

/** Separates this use of a secret from any other. */
const PURPOSE = 'open-balena-registry-proxy failed logins 1';

/** Bounds what one client may ask for, in this process or, through Redis, in all replicas together. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const allowed = blockList(config.RATE_LIMIT_ALLOW);
		app.decorate('shareOf', (address) =>
			config.RATE_LIMIT_ALLOW.length > 0 && includesAddress(allowed, address) ? '' : networkKey(address),
		);
		const isAllowed = (request: FastifyRequest): boolean => includesAddress(allowed, request.ip);

		await app.register(rateLimit, {
			global: config.RATE_LIMIT_MAX > 0,
			max: (request: FastifyRequest) => config.RATE_LIMIT_MAX * (isContent(request) ? CONTENT_SHARE : 1),
			timeWindow: config.RATE_LIMIT_WINDOW,
			keyGenerator: (request) => (isContent(request) ? `content ${clientKey(request.ip)}` : clientKey(request.ip)),
			...(config.RATE_LIMIT_ALLOW.length > 0 ? { allowList: isAllowed } : {}),
			addHeadersOnExceeding: QUIET,
			addHeaders: QUIET,
			onExceeded: (request) => {
				request.facts.limit ??= 'address';
			},
			// The plugin throws what this returns, and sets Retry-After itself.
			errorResponseBuilder: () => tooMany('too many requests from this address; try again in a moment'),
			...(config.REDIS_URL === undefined
				? {}
				: { redis: await connectRedis(app, config.REDIS_URL), nameSpace: 'registry-proxy:', skipOnError: true }),
		});

		app.decorateRequest('credentialKey', '');
		const window = { timeWindow: config.LOGIN_FAILURES_WINDOW, allowList: isAllowed };
		const limits = [
			app.createRateLimit({ ...window, max: config.LOGIN_FAILURES_MAX, keyGenerator: (request) => `login ${request.credentialKey}` }),
			app.createRateLimit({
				...window,
				max: config.LOGIN_FAILURES_MAX * ADDRESS_SHARE,
				keyGenerator: (request) => `login ${clientKey(request.ip)}`,
			}),
		];
		const credentialKey = credentialKeys(config);
		const isCounted = (caller: Caller): caller is Credentials => config.LOGIN_FAILURES_MAX > 0 && caller.kind === 'credentials';

		app.decorate('loginLimit', {
			check: async (request, caller) => {
				if (!isCounted(caller)) {
					return;
				}
				request.credentialKey = credentialKey(caller);
				for (const limit of limits) {
					const state = await limit(request, { increment: false });
					if (!state.isAllowed && state.remaining === 0) {
						request.facts.limit = 'login';
						throw tooMany('too many failed logins; check the API key, and try again later', state.ttlInSeconds);
					}
				}
			},
			countFailure: async (request, caller) => {
				if (isCounted(caller)) {
					request.credentialKey = credentialKey(caller);
					await Promise.all(limits.map((limit) => limit(request)));
				}
			},
		});
	},
	{ name: 'rate-limit', dependencies: ['request-log'] },
);

/** A caller's fingerprint means nothing to another process. What replicas count together has to have the same name in each, made with something that they all, and nobody else, know. */
function credentialKeys({ REDIS_URL, TOKEN_SECRET }: Config): (caller: Credentials) => string {
	if (REDIS_URL === undefined) {
		return ({ fingerprint }) => fingerprint;
	}
	const key = derivedKey(TOKEN_SECRET ?? REDIS_URL, PURPOSE);
	return ({ authorization }) => fingerprintOf(authorization, key);
}

function isContent({ raw, headers }: FastifyRequest): boolean {
	return headers.authorization !== undefined && CONTENT.test(raw.url ?? '');
}

function tooMany(message: string, retryAfterSeconds?: number): RegistryError {
	return new RegistryError('TOOMANYREQUESTS', message, {
		forPeople: true,
		headers: retryAfterSeconds === undefined ? {} : { 'retry-after': String(Math.max(1, retryAfterSeconds)) },
	});
}

async function connectRedis(app: FastifyInstance, url: string): Promise<Redis> {
	// Only where it is used: it costs a start 20 ms and 5 MB.
	const { Redis } = await import('ioredis');
	const redis = new Redis(url, {
		connectTimeout: REDIS_TIMEOUT_MS * 4,
		commandTimeout: REDIS_TIMEOUT_MS,
		maxRetriesPerRequest: 0,
		enableOfflineQueue: false,
		retryStrategy: (attempt) => Math.min(attempt * 200, 5000),
	});
	let lastComplaint = -Infinity;
	redis.on('error', (error: Error) => {
		if (performance.now() - lastComplaint > REDIS_COMPLAINT_MS) {
			lastComplaint = performance.now();
			app.log.error({ error: error.message }, 'Redis is not there: requests are let through without limits');
		}
	});
	redis.on('ready', () => {
		lastComplaint = -Infinity;
		app.log.info('Redis is there: limits are shared');
	});
	app.addHook('onClose', async () => redis.disconnect());
	return redis;
}
