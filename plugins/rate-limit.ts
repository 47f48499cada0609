import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { RegistryError } from '../src/errors.ts';
import type { Config } from '../src/config.ts';

/** Clients read Retry-After only; on every other answer the counts would be noise. */
const QUIET = { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false };

/** Bounds what one client address may ask for. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		if (config.RATE_LIMIT_MAX === 0) {
			return;
		}
		await app.register(rateLimit, {
			max: config.RATE_LIMIT_MAX,
			addHeadersOnExceeding: QUIET,
			addHeaders: QUIET,
			timeWindow: config.RATE_LIMIT_WINDOW,
			// The plugin throws what this returns, and sets Retry-After itself.
			errorResponseBuilder: () => new RegistryError('TOOMANYREQUESTS', 'too many requests from this address; try again in a moment', { forPeople: true }),
		});
	},
	{ name: 'rate-limit' },
);
