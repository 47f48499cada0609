import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** A server that answers whatever bytes it likes, which no HTTP library would send. */
export interface BrokenServer {
	url: string;
	/** The head of every request so far, credentials included. */
	heads: string[];
	/** Connections that are open. */
	readonly open: number;
}

/**
 * Starts a server on 127.0.0.1, and ends it with the test.
 *
 * @param answer is called with the socket and the head of each request; it writes and ends as it pleases
 */
export async function startBrokenServer(t: TestContext, answer: (socket: Socket, head: string) => void): Promise<BrokenServer> {
	const sockets = new Set<Socket>();
	const heads: string[] = [];
	const server = createServer((socket) => {
		sockets.add(socket);
		socket.once('close', () => sockets.delete(socket));
		// The other end may reset at any time.
		socket.on('error', () => undefined);
		let text = '';
		socket.on('data', (chunk: Buffer) => {
			text += chunk.toString('latin1');
			for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
				const head = text.slice(0, end);
				text = text.slice(end + 4);
				heads.push(head);
				answer(socket, head);
			}
		});
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	t.after(() => {
		server.close();
		for (const socket of sockets) {
			socket.destroy();
		}
	});
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		heads,
		get open() {
			return sockets.size;
		},
	};
}

/** @returns the URL of a port of 127.0.0.1 on which nobody listens, as far as one can know */
export async function closedPort(): Promise<string> {
	const server = createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	const { port } = server.address() as AddressInfo;
	server.close();
	await once(server, 'close');
	return `http://127.0.0.1:${port}`;
}

/** @returns the URL of a port that takes no further connection, until the test ends: packets to it are lost, as behind a firewall. The kernel's queue is full, and nobody empties it. */
export async function unresponsivePort(t: TestContext): Promise<string> {
	const program =
		'require("net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, function () { process.send(this.address().port) })';
	const child = spawn(process.execPath, ['--eval', program], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
	const [port] = (await once(child, 'message')) as [number];
	child.kill('SIGSTOP');
	const fillers = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
	t.after(() => {
		fillers.forEach((socket) => socket.destroy());
		child.kill('SIGKILL');
	});
	await Promise.race(fillers.map((socket) => once(socket, 'connect')));
	return `http://127.0.0.1:${port}`;
}

/** @returns a whole answer as bytes; `Content-Length` is added unless the headers say something of the length */
export function httpAnswer(status: string, headers: Record<string, string>, body: Buffer | string = ''): Buffer {
	const bytes = Buffer.from(body);
	const saysLength = Object.keys(headers).some((name) => /^(content-length|transfer-encoding)$/i.test(name));
	const lines = Object.entries({ ...headers, ...(saysLength ? {} : { 'Content-Length': String(bytes.length) }) }).map(
		([name, value]) => `${name}: ${value}\r\n`,
	);
	return Buffer.concat([Buffer.from(`HTTP/1.1 ${status}\r\n${lines.join('')}\r\n`), bytes]);
}
