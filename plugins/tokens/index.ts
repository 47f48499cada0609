import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import clientTokens from './client-tokens.ts';
import sealedCredentials from './sealed-credentials.ts';
import tokenEndpoint from './token-endpoint.ts';
import upstreamTokens from './upstream-tokens.ts';

/** Tokens: the clients' own, the API's behind them, and the endpoint that issues them. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		await app.register(upstreamTokens, config);
		await app.register(clientTokens, config);
		await app.register(sealedCredentials, config);
		await app.register(tokenEndpoint, config);
	},
	{ name: 'tokens' },
);
