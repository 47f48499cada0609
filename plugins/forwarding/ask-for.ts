import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { EventEmitter } from 'node:events';
import type { Dispatcher } from 'undici';
import { forwardRequest, type ForwardedAnswer } from '../../src/http/forward-request.ts';
import { minorGcByBytes } from '../../src/process/minor-gc.ts';
import type { UpstreamRequest } from '../../src/registry/upstream-request.ts';

export type ClientGone = EventEmitter & { client?: string; mayWait?: boolean };

declare module 'fastify' {
	interface FastifyInstance {
		/** Told the length of each piece of a body that passes, in bytes: one count for the process, because its garbage is one. */
		onBodyBytes(length: number): void;
		/** Asks an upstream on a client's behalf, for as long as the client is there. @throws what undici reports */
		askFor(
			request: FastifyRequest,
			dispatcher: Dispatcher,
			options: { origin: string; path: string; headers: Record<string, string> },
		): Promise<ForwardedAnswer>;
	}
	interface FastifyRequest {
		/** What is asked of the registry for it. */
		upstreamRequest: UpstreamRequest | null;
		/**
		 * Emits "abort" when the connection of a client that is forwarded for has closed. Fastify's `request.signal` costs more
		 * than all else that is done for a request.
		 */
		clientGone: ClientGone | null;
	}
}

/** Further requests for one that is forwarded already: where its redirects lead. */
export default fp(
	async (app: FastifyInstance) => {
		app.decorate('onBodyBytes', minorGcByBytes());
		app.decorateRequest('upstreamRequest', null);
		app.decorateRequest('clientGone', null);
		app.decorate(
			'askFor',
			(request, dispatcher, { origin, path, headers }) =>
				new Promise((resolve, reject) => {
					const method = request.method as 'GET' | 'HEAD';
					// One for each redirect.
					request.clientGone!.setMaxListeners(0);
					forwardRequest(dispatcher, { origin, path, method, headers }, request.clientGone!, app.onBodyBytes, (error, answer) =>
						error === null ? resolve(answer!) : reject(error),
					);
				}),
		);
	},
	{ name: 'ask-for' },
);
