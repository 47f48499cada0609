import type { FastifyInstance } from 'fastify';
import type { Redis } from 'ioredis';

/** Waits for Redis, in milliseconds. Without it requests are let through, so none may hang on it. */
const REDIS_TIMEOUT_MS = 250;
const REDIS_COMPLAINT_MS = 30_000;

/** @returns a connection that is made again when it breaks, and ends with the app; its calls fail at once while there is none */
export async function connectRedis(app: FastifyInstance, url: string): Promise<Redis> {
	// Only where it is used: it costs a start 20 ms and 5 MB.
	const { Redis } = (await import('ioredis')).default;
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
