import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, faultAt, setUp, tokenFor, type Setup } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { connectTo } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

/* Clients that hold connections by being slow, one byte at a time or none: each is given CLIENT_TIMEOUT to ask, and IDLE_TIMEOUT to take what it asked for. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const LAYER = imageOf(upstream, 'acme/pinned', '1.0.0').platforms[0]!.layers[0]!;
const MANY = 500;

/** Opens a connection, and sends bytes on it until it is closed, a few at a time. @returns what came back */
async function dribble({ proxy }: Setup, text: string, forEver = ''): Promise<string> {
	const socket = connectTo(proxy);
	let answer = '';
	socket.setEncoding('latin1').on('data', (chunk: string) => (answer += chunk));
	const closed = new Promise<void>((resolve) => socket.on('error', () => resolve()).once('close', () => resolve()));
	let isClosed = false;
	void closed.then(() => (isClosed = true));
	for (let at = 0; !isClosed; at++) {
		socket.write(at < text.length ? text[at]! : forEver);
		await Promise.race([sleep(10), closed]);
	}
	return answer;
}

const connections = ({ proxy }: Setup): Promise<number> =>
	new Promise((resolve, reject) => proxy.app.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))));

test('a request that does not come to its end is ended by CLIENT_TIMEOUT:', { timeout: 60_000, concurrency: true }, async (t) => {
	const setup = await setUp(t, { CLIENT_TIMEOUT: '0.3' });
	const head = `POST /auth/v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\n`;
	const rows: Record<string, () => Promise<string>> = {
		'headers that never end': () => dribble(setup, 'GET /ping HTTP/1.1\r\nHost: x\r\nX: ', 'a'),
		'headers line by line': () => dribble(setup, 'GET /ping HTTP/1.1\r\nHost: x\r\n', 'X: a\r\n'),
		'a body that never ends': () => dribble(setup, head, 'a'),
		'a body of chunks that never ends': () =>
			dribble(setup, head.replace('Content-Length: 60000', 'Transfer-Encoding: chunked'), '1\r\na\r\n'),
		'empty lines before a request': () => dribble(setup, '', '\r\n'),
	};
	await Promise.all(
		Object.entries(rows).map(([name, run]) =>
			t.test(name, { timeout: 20_000 }, async () => {
				const answer = await run();
				assert.match(answer, /^HTTP\/1\.1 408 /);
				assert.match(answer, /\r\nConnection: close\r\n/i);
				assert.equal(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)).errors[0].code, 'UNSUPPORTED');
			}),
		),
	);
	assert.equal((await ask(setup.proxy, '/ping')).text, 'pong');
});

test(`${MANY} connections on which nothing is asked are closed, and nobody else notices`, { timeout: 60_000 }, async (t) => {
	const setup = await setUp(t, { CLIENT_TIMEOUT: '0.5' });
	const sockets: Socket[] = Array.from({ length: MANY }, () => connectTo(setup.proxy).on('error', () => undefined));
	await Promise.all(sockets.map((socket) => once(socket, 'connect')));
	assert.equal((await ask(setup.proxy, '/ping')).text, 'pong');
	await tokenFor(setup.proxy, NAME);
	sockets.forEach((socket) => socket.resume());
	await until(async () => (await connections(setup)) === 0);
});

test('a download may be slow', { timeout: 60_000 }, async (t) => {
	const setup = await setUp(t, { CLIENT_TIMEOUT: '0.1' });
	const token = await tokenFor(setup.proxy, NAME);
	const socket = connectTo(setup.proxy);
	socket.write(`GET /v2/${NAME}/blobs/${LAYER.digest} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`);
	let bytes = 0;
	for await (const chunk of socket) {
		bytes += (chunk as Buffer).length;
		await sleep(200);
	}
	assert.ok(bytes > LAYER.size, `${bytes}`);
});

test(
	'a client that takes nothing of what it asked for loses its connection after IDLE_TIMEOUT, and the registry is let go',
	{ timeout: 30_000 },
	async (t) => {
		const setup = await setUp(t, { IDLE_TIMEOUT: '1' });
		const { proxy, registry } = setup;
		const token = await tokenFor(proxy, NAME);
		// More than the buffers in between hold.
		registry.fault = faultAt(/\/blobs\//, { status: 200, body: 'x'.repeat(50_000_000) });
		const socket = connectTo(proxy).on('error', () => undefined);
		socket.write(`GET /v2/${NAME}/blobs/${LAYER.digest} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
		await once(socket, 'readable');
		await until(() => registry.underWay === 0);
		assert.ok(proxy.log.some((line) => /"kind":"blob".*"aborted":true/.test(line)));
		socket.destroy();
	},
);
