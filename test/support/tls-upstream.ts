import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { writeSelfSigned } from './self-signed.ts';

export interface TlsUpstream {
	/** With `https:`. */
	url: string;
	host: string;
	/** Each request, as `HTTP/1.1 GET /path`. */
	requests: string[];
}

/** What `behindTls` needs, for the time of a test: by openssl. @returns a function that starts such an upstream, and the file that `NODE_EXTRA_CA_CERTS` has to name */
export async function tlsUpstreams(t: TestContext): Promise<{ ca: string; start: (target: string) => Promise<TlsUpstream> }> {
	const directory = mkdtempSync(join(tmpdir(), 'tls-upstream-'));
	t.after(() => rmSync(directory, { recursive: true }));
	const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
	await writeSelfSigned({ cert, key }, 'IP:127.0.0.1');
	return { ca: cert, start: (target) => behindTls(t, target, { cert: readFileSync(cert), key: readFileSync(key) }) };
}

/** A server before another one, with TLS, that offers HTTP/2 before HTTP/1.1, as balancers of upstreams do. */
async function behindTls(t: TestContext, target: string, certificate: { cert: Buffer; key: Buffer }): Promise<TlsUpstream> {
	const requests: string[] = [];
	const sockets = new Set<Socket>();
	const server = createSecureServer({ ...certificate, allowHTTP1: true }, (incoming, outgoing) => {
		requests.push(`HTTP/${incoming.httpVersion} ${incoming.method} ${incoming.url}`);
		const headers = Object.fromEntries(Object.entries(incoming.headers).filter(([name]) => !name.startsWith(':')));
		const passed = request(target + incoming.url, { method: incoming.method, headers: { ...headers, host: new URL(target).host } });
		passed.once('response', (answer) => {
			const { connection: _connection, 'keep-alive': _keepAlive, 'transfer-encoding': _encoding, ...kept } = answer.headers;
			outgoing.writeHead(answer.statusCode!, kept);
			answer.pipe(outgoing);
		});
		passed.once('error', () => outgoing.destroy());
		incoming.pipe(passed);
	}).listen(0, '127.0.0.1');
	server.on('connection', (socket: Socket) => {
		sockets.add(socket);
		socket.once('close', () => sockets.delete(socket));
	});
	await once(server, 'listening');
	t.after(() => {
		server.close();
		sockets.forEach((socket) => socket.destroy());
	});
	const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
	return { url: `https://${host}`, host, requests };
}
