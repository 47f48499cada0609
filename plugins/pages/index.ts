import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import pageRoutes from './page-routes.ts';

/** Pages for people with a browser. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		await app.register(pageRoutes, config);
	},
	{ name: 'pages' },
);
