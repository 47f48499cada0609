import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import sealedCredentials from './sealed-credentials.ts';
import tokenEndpoint from './token-endpoint.ts';
import upstreamTokens from './upstream-tokens.ts';

/** Tokens: the API's, credentials that travel in a client's, and the endpoint that issues those. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		await app.register(upstreamTokens, config);
		await app.register(sealedCredentials, config);
		await app.register(tokenEndpoint, config);
	},
	{ name: 'tokens' },
);
