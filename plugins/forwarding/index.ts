import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import askFor from './ask-for.ts';
import followRedirects from './follow-redirects.ts';
import forward from './forward.ts';
import refusal from './refusal.ts';

/** Forwarding to the upstream registry, by @fastify/reply-from on undici. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		await app.register(refusal, config);
		await app.register(askFor);
		await app.register(followRedirects, config);
		await app.register(forward, config);
	},
	{ name: 'forwarding' },
);
