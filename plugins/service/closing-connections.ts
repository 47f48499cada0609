import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Config } from '../../src/config.ts';

declare module 'fastify' {
	interface FastifyInstance {
		shutdown: {
			/** Whether the process was told to end, and only finishes what it has begun. */
			draining: boolean;
		};
	}
}

/** How long a connection is kept after its answer, in milliseconds, once the service closes. Zero would be for ever. */
const KEPT_MS = 1;

/**
 * Ends connections that would hold up the end of the service: those on which nothing has been asked yet, which Node counts as
 * busy (balancers like to open such), and those on which an answer comes to its end, which Node would keep for the next request.
 * Answers that begin while the service drains say that theirs ends.
 */
export default fp(
	async (app: FastifyInstance, { TLS_CERT }: Config) => {
		app.decorate('shutdown', { draining: false });
		const unused = new Set<Socket>();
		app.server.on(TLS_CERT === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
			unused.add(socket);
			socket.once('close', () => unused.delete(socket));
		});
		app.server.on('request', ({ socket }: IncomingMessage) => unused.delete(socket));
		// Balancers take the hint, and the next request goes elsewhere.
		app.addHook('onRequest', (_request, reply, done) => {
			if (app.shutdown.draining) {
				reply.header('connection', 'close');
			}
			done();
		});
		app.addHook('preClose', async () => {
			unused.forEach((socket) => socket.destroy());
			app.server.keepAliveTimeout = KEPT_MS;
			app.server.keepAliveTimeoutBuffer = 0;
		});
	},
	{ name: 'closing-connections' },
);
