import type { FastifyInstance, HTTPMethods } from 'fastify';
import fp from 'fastify-plugin';
import type { Dispatcher } from 'undici';
import { LoadingCache } from '../../src/cache.ts';
import type { Config } from '../../src/config.ts';
import { smallRequest } from '../../src/http/small-request.ts';
import { sendJson } from '../service/send-json.ts';

/** Whether the upstreams answer, and in a few words why not. */
export interface UpstreamHealth {
	api: string;
	registry: string;
}

declare module 'fastify' {
	interface FastifyInstance {
		health: {
			/** Asks both upstreams; what it learns is remembered for a few seconds. Never throws. */
			upstreams(): Promise<UpstreamHealth>;
		};
	}
}

const FRESH_MS = 5000;
const TIMEOUT_MS = 5000;
/** Of the bodies, which do not matter. */
const MAX_BYTES = 64 * 1024;
const OK = 'ok';

/**
 * Liveness (`/ping`: the process answers, whatever its upstreams do), readiness (`/ready`: it is worth sending requests here),
 * and `/serving`, which is no only while the process ends: for balancers that look at the status alone, and would take out every
 * replica when an upstream is down.
 */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const checks = new LoadingCache<string>({ max: 2 });
		const check = (dispatcher: Dispatcher, origin: string, path: string): Promise<string> =>
			checks.get(`${origin}${path}`, async ({ signal }) => ({ value: await reach(dispatcher, origin, path, signal), freshMs: FRESH_MS }));

		app.decorate('health', {
			async upstreams() {
				const [api, registry] = await Promise.all([
					check(app.api.dispatcher, config.API_URL, '/ping'),
					check(app.registry.dispatcher, config.REGISTRY_URL, '/v2/'),
				]);
				return { api, registry };
			},
		});

		const options = { method: ['GET', 'HEAD'] as HTTPMethods[], config: { rateLimit: false, kind: 'health' } as const };
		app.route({ ...options, url: '/ping', handler: async (_request, reply) => reply.type('text/plain').send('pong') });
		app.route({
			...options,
			url: '/serving',
			handler: async (_request, reply) => {
				const { draining } = app.shutdown;
				return reply
					.code(draining ? 503 : 200)
					.header('cache-control', 'no-store')
					.type('text/plain')
					.send(draining ? 'draining' : 'serving');
			},
		});
		app.route({
			...options,
			url: '/ready',
			handler: async (_request, reply) => {
				const { draining } = app.shutdown;
				const upstreams = await app.health.upstreams();
				const isReady = !draining && upstreams.api === OK && upstreams.registry === OK;
				return sendJson(reply.code(isReady ? 200 : 503).header('cache-control', 'no-store'), { ready: isReady, draining, ...upstreams });
			},
		});
	},
	{ name: 'health', dependencies: ['request-log', 'closing-connections', 'api', 'registry'] },
);

/** Any answer below 500 will do: that the registry refuses an anonymous request is what it should do. */
async function reach(dispatcher: Dispatcher, origin: string, path: string, signal: AbortSignal): Promise<string> {
	try {
		const { status } = await smallRequest(dispatcher, {
			origin,
			path,
			headers: {},
			maxBytes: MAX_BYTES,
			signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
		});
		return status < 500 ? OK : `answers with status ${status}`;
	} catch (error) {
		const code = (error as NodeJS.ErrnoException).code ?? (error as Error).name;
		return code === 'TimeoutError' ? 'does not answer in time' : `cannot be reached (${code})`;
	}
}
