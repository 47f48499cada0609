import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Dispatcher } from 'undici';
import { askLater } from '../../src/http/ask-later.ts';
import { boundedDispatch } from '../../src/http/bounded-dispatch.ts';
import type { Config } from '../../src/config.ts';
import { upstreamDispatcher } from '../../src/http/upstream-dispatcher.ts';

declare module 'fastify' {
	interface FastifyInstance {
		registry: {
			dispatcher: Dispatcher;
			/** The bound on requests to the registry, and to where it redirects: the same for all that are composed with it. */
			bound: Dispatcher.DispatcherComposeInterceptor;
			/** How many requests were sent once more, because a kept connection had ended. */
			readonly repeated: number;
			/** How many were sent once more, because it, or its bound, had said to come again soon. */
			readonly waited: number;
		};
	}
}

/** The upstream registry: connections to it. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const upstream = upstreamDispatcher(
			{
				origin: config.REGISTRY_URL,
				connections: config.REGISTRY_CONNECTIONS,
				connectTimeout: config.REGISTRY_CONNECT_TIMEOUT,
				headersTimeout: config.REGISTRY_HEADERS_TIMEOUT,
				bodyTimeout: config.REGISTRY_BODY_TIMEOUT,
			},
			config,
		);
		app.addHook('onClose', async () => upstream.destroy());
		const bound = boundedDispatch({
			concurrency: config.REGISTRY_CONNECTIONS,
			queue: config.REGISTRY_QUEUE,
			waitMs: config.REGISTRY_CONNECT_TIMEOUT,
		});
		const later = askLater({
			longestMs: config.MANIFEST_PATIENCE,
			budgetMs: config.LOGIN_TIMEOUT,
			places: config.MANIFEST_WAITS,
		});
		const dispatcher = upstream.dispatcher.compose(bound, later.interceptor);
		app.decorate('registry', {
			dispatcher,
			bound,
			get repeated() {
				return upstream.repeated;
			},
			get waited() {
				return later.count;
			},
		});
	},
	{ name: 'registry' },
);
