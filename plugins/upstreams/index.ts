import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import api from './api.ts';
import challenge from './challenge.ts';
import registry from './registry.ts';

/** The balena API and the registry behind it: connections, and what their refusals mean. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		await app.register(api, config);
		await app.register(registry, config);
		await app.register(challenge, config);
	},
	{ name: 'upstreams' },
);
