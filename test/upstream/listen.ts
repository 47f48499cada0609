import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Listening {
	server: Server;
	url: string;
	close(): Promise<void>;
}

/** Starts an HTTP server on 127.0.0.1, on a free port by default. `close` also ends the connections that are open. */
export async function listen(port = 0): Promise<Listening> {
	const server = createServer().listen(port, '127.0.0.1');
	await once(server, 'listening');
	return {
		server,
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		async close() {
			server.close();
			server.closeAllConnections();
			await once(server, 'close');
		},
	};
}

/** @returns a port that nobody listens on at the moment, for programs that cannot choose one themselves */
export async function freePort(): Promise<number> {
	const { url, close } = await listen();
	await close();
	return Number(new URL(url).port);
}
