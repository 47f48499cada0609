import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export interface EgressProxy {
	url: string;
	/** The targets of CONNECT, in order. */
	connected: string[];
	/** What was asked in any other way: `GET http://...`. */
	asked: string[];
}

/** A proxy as companies have them at the border of their networks: CONNECT to anything that listens, and nothing else. It ends with the test. */
export async function startEgressProxy(t: TestContext): Promise<EgressProxy> {
	const [connected, asked]: [string[], string[]] = [[], []];
	const sockets = new Set<Socket>();
	const server = createServer(({ method, url }, response) => {
		asked.push(`${method} ${url}`);
		response.writeHead(405).end();
	});
	server.on('connect', ({ url = '' }, socket: Socket, head) => {
		connected.push(url);
		const target = connect(Number(url.split(':')[1]), url.split(':')[0], () => {
			socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
			target.write(head);
			socket.pipe(target).pipe(socket);
		});
		for (const each of [socket, target]) {
			sockets.add(each);
			each.on('error', () => undefined).once('close', () => [socket, target].forEach((other) => other.destroy()));
		}
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	t.after(() => {
		server.close();
		server.closeAllConnections();
		sockets.forEach((socket) => socket.destroy());
	});
	return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connected, asked };
}
