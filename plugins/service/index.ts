import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import certificate from './certificate.ts';
import endOfTurn from './end-of-turn.ts';
import clientTokens from './client-tokens.ts';
import errors from './errors.ts';
import loginLimit from './login-limit.ts';
import rateLimit from './rate-limit.ts';
import incoming from './incoming.ts';
import requestLog from './request-log.ts';
import closingConnections from './closing-connections.ts';

/** What every request meets, whatever it asks for. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		await app.register(certificate, config);
		await app.register(closingConnections, config);
		await app.register(endOfTurn);
		await app.register(requestLog);
		await app.register(incoming, config);
		await app.register(clientTokens, config);
		await app.register(rateLimit, config);
		await app.register(loginLimit, config);
		await app.register(errors, config);
	},
	{ name: 'service' },
);
