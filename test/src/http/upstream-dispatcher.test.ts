import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { upstreamDispatcher, type UpstreamDispatcher } from '../../../src/http/upstream-dispatcher.ts';
import { smallRequest } from '../../../src/http/small-request.ts';
import { startBrokenServer } from '../../support/broken-server.ts';

/* What an upstream may send, byte for byte, and what becomes of it. */

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

interface Upstream {
	upstream: UpstreamDispatcher;
	heads: string[];
	ask(method?: 'GET' | 'HEAD'): Promise<string>;
}

async function start(t: TestContext, answer: (socket: Socket, count: number) => void): Promise<Upstream> {
	const server = await startBrokenServer(t, (socket) => answer(socket, server.heads.length));
	const upstream = upstreamDispatcher(
		{ origin: server.url, connections: 1, connectTimeout: 5000, headersTimeout: 5000, bodyTimeout: 5000 },
		{},
	);
	t.after(() => upstream.destroy());
	return {
		upstream,
		heads: server.heads,
		ask: async (method = 'GET') => {
			try {
				const { status, headers, body } = await smallRequest(upstream.dispatcher, {
					origin: server.url,
					path: '/',
					method,
					headers: {},
					maxBytes: 1000,
				});
				return [
					status,
					...Object.entries(headers).flatMap(([name, value]) => (/^x-|^location/.test(name) ? [`${name}=${String(value)}`] : [])),
					body.toString(),
				].join(' ');
			} catch {
				return 'failed';
			}
		},
	};
}

describe('only final answers count', () => {
	const rows: Record<string, [bytes: string, expected: string]> = {
		'none before it': [OK, '200 ok'],
		'103': [`HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${OK}`, '200 ok'],
		'102, twice': [`HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${OK}`, '200 ok'],
		'any other': [`HTTP/1.1 199 Odd\r\n\r\n${OK}`, '200 ok'],
		'more than anybody sends': [`${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(21)}${OK}`, 'failed'],
		// undici closes the connection at a 100 that nobody has asked for.
		'100, unasked': [`HTTP/1.1 100 Continue\r\n\r\n${OK}`, 'failed'],
		'101, unasked': [`HTTP/1.1 101 Switching\r\n\r\n${OK}`, 'failed'],
		'a status of 600': ['HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n', 'failed'],
		'a status of 999': ['HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n', 'failed'],
		'a status of 099': [`HTTP/1.1 099 Odd\r\n\r\n${OK}`, 'failed'],
		'two locations': ['HTTP/1.1 302 Found\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n', '302 location=/a '],
		'fields of the connection': [
			'HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 2\r\nConnection: keep-alive, X-A\r\nContent-Length: 2\r\n\r\nok',
			'200 x-b=2 ok',
		],
	};
	for (const [name, [bytes, expected]] of Object.entries(rows)) {
		for (const method of ['GET', 'HEAD'] as const) {
			test(`${method}: ${name}`, async (t) => {
				const { ask } = await start(t, (socket) => void socket.write(method === 'HEAD' ? bytes.replace(/ok$/, '') : bytes));
				assert.equal((await ask(method)).trim(), (method === 'HEAD' ? expected.replace(/ ok$/, '') : expected).trim());
			});
		}
	}
});

describe('a kept connection that ends as a request comes', () => {
	const ENDS: Record<string, (socket: Socket) => void> = {
		FIN: (socket) => socket.end(),
		'a reset': (socket) => socket.resetAndDestroy(),
	};
	for (const [name, end] of Object.entries(ENDS)) {
		for (const method of ['GET', 'HEAD'] as const) {
			test(`${name}, ${method}: it is asked once more, on a new connection`, async (t) => {
				const { ask, heads, upstream } = await start(t, (socket, count) =>
					count === 2 ? end(socket) : void socket.write(OK.slice(0, count > 2 && method === 'HEAD' ? -2 : undefined)),
				);
				assert.equal(await ask(), '200 ok');
				assert.equal((await ask(method)).trim(), method === 'GET' ? '200 ok' : '200');
				assert.equal(heads.length, 3);
				assert.equal(upstream.repeated, 1);
			});
		}
		test(`${name}: it is not asked a third time`, async (t) => {
			const { ask, heads, upstream } = await start(t, (socket, count) => (count > 1 ? end(socket) : void socket.write(OK)));
			assert.equal(await ask(), '200 ok');
			assert.equal(await ask(), 'failed');
			assert.deepEqual([heads.length, upstream.repeated], [3, 1]);
		});
		test(`${name} of a new connection: it is not asked again`, async (t) => {
			const { ask, heads, upstream } = await start(t, end);
			assert.equal(await ask(), 'failed');
			assert.deepEqual([heads.length, upstream.repeated], [1, 0]);
		});
		test(`${name} after a byte: it is not asked again`, async (t) => {
			const { ask, heads } = await start(t, (socket, count) =>
				count === 1 ? void socket.write(OK) : void socket.write('HTTP/1.1 2', () => end(socket)),
			);
			assert.equal(await ask(), '200 ok');
			assert.equal(await ask(), 'failed');
			assert.equal(heads.length, 2);
		});
	}
});

test('an egress proxy is asked to connect, and tells the upstream nothing of itself', async (t) => {
	const server = await startBrokenServer(t, (socket) => void socket.write(OK));
	const { createServer, connect } = await import('node:net');
	const connected: string[] = [];
	const proxy = createServer((socket) => {
		socket.once('data', (bytes) => {
			connected.push(bytes.toString().split('\r\n', 1)[0]!);
			const target = connect(Number(new URL(server.url).port), '127.0.0.1', () => {
				if (bytes.toString().startsWith('CONNECT')) {
					socket.write('HTTP/1.1 200 OK\r\n\r\n');
				} else {
					target.write(bytes);
				}
				socket.pipe(target).pipe(socket);
			});
			target.on('error', () => undefined);
		});
		socket.on('error', () => undefined);
	}).listen(0, '127.0.0.1');
	await once(proxy, 'listening');
	const { port } = proxy.address() as { port: number };
	const upstream = upstreamDispatcher(
		{ origin: server.url, connections: 2, connectTimeout: 5000 },
		{ HTTP_PROXY: `http://127.0.0.1:${port}` },
	);
	t.after(async () => {
		await upstream.destroy();
		proxy.close();
	});
	const { body } = await smallRequest(upstream.dispatcher, { origin: server.url, path: '/', headers: {}, maxBytes: 10 });
	assert.equal(body.toString(), 'ok');
	assert.equal(connected.length, 1);
	const direct = upstreamDispatcher(
		{ origin: server.url, connections: 2, connectTimeout: 5000 },
		{ HTTP_PROXY: `http://127.0.0.1:${port}`, NO_PROXY: '127.0.0.1' },
	);
	t.after(() => direct.destroy());
	await smallRequest(direct.dispatcher, { origin: server.url, path: '/', headers: {}, maxBytes: 10 });
	assert.equal(connected.length, 1);
});
