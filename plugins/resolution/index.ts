import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import resolver from './resolver.ts';

/** From slugs to releases, through an LRU cache. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		await app.register(resolver, config);
	},
	{ name: 'resolution' },
);
