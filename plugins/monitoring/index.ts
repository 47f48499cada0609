import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import health from './health.ts';

/** What operators see: health, and metrics where they are switched on. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		await app.register(health, config);
		if (config.METRICS_PORT !== undefined) {
			await app.register((await import('./metrics.ts')).default, config);
		}
	},
	{ name: 'monitoring' },
);
