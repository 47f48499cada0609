import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Config } from '../../src/config.ts';

/**
 * Ends connections on which nothing has been asked yet when the service closes. Node counts them as busy and waits for them, and no longer looks whether they take
 * too long; balancers like to open such.
 */
export default fp(
	async (app: FastifyInstance, { TLS_CERT }: Config) => {
		const unused = new Set<Socket>();
		app.server.on(TLS_CERT === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
			unused.add(socket);
			socket.once('close', () => unused.delete(socket));
		});
		app.server.on('request', ({ socket }: IncomingMessage) => unused.delete(socket));
		app.addHook('preClose', async () => unused.forEach((socket) => socket.destroy()));
	},
	{ name: 'unused-connections' },
);
