import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { ACCEPT, type Proxy } from '../support/proxy.ts';
import { ask, begin, type Question } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { withBrokenRegistry } from '../support/broken-registry.ts';
import { assertTold, logged, type Line, type Told } from '../support/expect.ts';
import { connectTo } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

/* The registry fails in the middle of its answer. What has been sent cannot be taken back, but it is never passed off as whole. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const IMAGE = imageOf(upstream, 'acme/pinned', '1.0.0');
const LAYER = IMAGE.platforms[0]!.layers[0]!;
const BLOB = `/v2/${NAME}/blobs/${LAYER.digest}`;
const MANIFEST = `/v2/${NAME}/manifests/${IMAGE.digest}`;
const PART = Buffer.alloc(70_000, 'x');
const BLOB_HEADERS = `Content-Type: application/octet-stream\r\nDocker-Content-Digest: ${LAYER.digest}\r\n`;
const MANIFEST_HEADERS = `Content-Type: ${IMAGE.mediaType}\r\nDocker-Content-Digest: ${IMAGE.digest}\r\n`;

const head = (status: string, more: string): string => `HTTP/1.1 ${status}\r\n${BLOB_HEADERS}${more}\r\n`;
const chunk = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

const BREAKS: Record<string, { answer: (socket: Socket) => void; question?: Question; env?: Record<string, string> }> = {
	'it resets the connection': {
		answer: (socket) => {
			socket.write(head('200 OK', 'Content-Length: 1000000\r\n'));
			socket.write(PART, () => setTimeout(() => socket.resetAndDestroy(), 50));
		},
	},
	'it ends the connection too early': {
		answer: (socket) => {
			socket.write(head('200 OK', 'Content-Length: 1000000\r\n'));
			socket.end(PART);
		},
	},
	'it ends the connection between two chunks': {
		answer: (socket) => {
			socket.write(head('200 OK', 'Transfer-Encoding: chunked\r\n'));
			socket.end(chunk(PART));
		},
	},
	'it sends garbage between two chunks': {
		answer: (socket) => {
			socket.write(head('200 OK', 'Transfer-Encoding: chunked\r\n'));
			socket.write(chunk(PART));
			socket.write('HTTP/1.1 500 Oh\r\n\r\n');
		},
	},
	'it sends nothing more': {
		answer: (socket) => {
			socket.write(head('200 OK', 'Content-Length: 1000000\r\n'));
			socket.write(PART);
		},
		env: { REGISTRY_BODY_TIMEOUT: '0.3' },
	},
	'it sends no more chunks': {
		answer: (socket) => {
			socket.write(head('200 OK', 'Transfer-Encoding: chunked\r\n'));
			socket.write(chunk(PART));
		},
		env: { REGISTRY_BODY_TIMEOUT: '0.3' },
	},
	'it breaks off in a part that was asked for': {
		answer: (socket) => {
			socket.write(head('206 Partial Content', 'Content-Length: 1000000\r\nContent-Range: bytes 10-1000009/2000000\r\n'));
			socket.end(PART);
		},
		question: { headers: { range: 'bytes=10-1000009' } },
	},
};

test('in the middle of a blob', { timeout: 60_000, concurrency: true }, async (t) => {
	await Promise.all(
		Object.entries(BREAKS).map(([name, { answer, question = {}, env }]) =>
			t.test(`${name}: the client’s connection breaks too`, { timeout: 20_000 }, async (t) => {
				const { proxy, token } = await withBrokenRegistry(t, NAME, answer, env);
				const incoming = await begin(proxy, BLOB, { ...question, token });
				assert.ok(incoming.statusCode === 200 || incoming.statusCode === 206);
				let received = 0;
				incoming.on('data', (bytes: Buffer) => (received += bytes.length));
				await assert.rejects(new Promise((resolve, reject) => incoming.once('end', resolve).once('error', reject)), { code: 'ECONNRESET' });
				assert.equal(incoming.complete, false);
				assert.ok(received <= PART.length);
				const line = (): Line | undefined => logged(proxy, ({ msg, kind }) => msg === 'request' && kind === 'blob');
				await until(() => line() !== undefined);
				assert.deepEqual([line()!.status, line()!.aborted, line()!.bytes > received], [incoming.statusCode, true, true]);
				assert.ok(
					logged(proxy, ({ level, msg, reqId }) => level === 40 && /broke off/.test(msg) && reqId === line()!.reqId),
					'no warning',
				);
				assert.equal((await ask(proxy, '/ping')).text, 'pong');
			}),
		),
	);
});

/** How a connection ends, as only its other end sees it. */
async function endOf(proxy: Proxy, request: string): Promise<string> {
	const socket = connectTo(proxy);
	socket.resume().write(request);
	return new Promise((resolve) =>
		socket.once('end', () => resolve('FIN')).once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message)),
	);
}

// containerd resumes a layer after a plain end, and gives up after a reset; of HTTP/1.0, a plain end would be the body's own.
for (const [version, end] of [
	['1.0', 'ECONNRESET'],
	['1.1', 'FIN'],
] as const) {
	test(`a blob that breaks off ends an HTTP/${version} connection by ${end}`, { timeout: 60_000 }, async (t) => {
		const { proxy, token } = await withBrokenRegistry(t, NAME, (socket) => {
			socket.write(head('200 OK', 'Transfer-Encoding: chunked\r\n'));
			socket.end(chunk(PART));
		});
		const request = `GET ${BLOB} HTTP/${version}\r\nHost: ${proxy.host}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`;
		assert.equal(await endOf(proxy, request), end);
	});
}

const UNREACHABLE: Told = { status: 502, code: 'UNAVAILABLE', words: /registry could not be reached/ };
const LATE: Told = { status: 504, code: 'UNAVAILABLE', words: /registry did not answer in time/ };
const manifestHead = (more: string): string => `HTTP/1.1 200 OK\r\n${MANIFEST_HEADERS}${more}\r\n`;

/** A manifest is small and checked before it is sent, so that its failures can be told. */
const MANIFEST_BREAKS: Record<string, { answer: (socket: Socket) => void; told: Told; env?: Record<string, string> }> = {
	'it resets the connection': {
		answer: (socket) =>
			void socket.write(`${manifestHead('Content-Length: 500\r\n')}{`, () => setTimeout(() => socket.resetAndDestroy(), 50)),
		told: UNREACHABLE,
	},
	'it ends the connection too early': {
		answer: (socket) => void socket.end(`${manifestHead('Content-Length: 500\r\n')}{`),
		told: UNREACHABLE,
	},
	'it ends the connection between two chunks': {
		answer: (socket) => void socket.end(`${manifestHead('Transfer-Encoding: chunked\r\n')}1\r\n{\r\n`),
		told: UNREACHABLE,
	},
	'it sends nothing more': {
		answer: (socket) => void socket.write(`${manifestHead('Content-Length: 500\r\n')}{`),
		told: LATE,
		env: { REGISTRY_BODY_TIMEOUT: '0.3' },
	},
	'it answers something that is no HTTP': { answer: (socket) => void socket.write('220 smtp.example ESMTP\r\n'), told: UNREACHABLE },
	'it sends headers for ever': {
		answer: (socket) => void socket.write(`HTTP/1.1 200 OK\r\n${'X-More: x\r\n'.repeat(20_000)}`),
		told: UNREACHABLE,
	},
	'it switches protocols': {
		answer: (socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
		told: UNREACHABLE,
	},
};

test('a blob that is illegible from its first byte on is answered with an error', { timeout: 60_000 }, async (t) => {
	const rows = {
		'a chunk without a size': 'x\r\n',
		'a chunk that is too long': 'ffffffffffffffffff\r\n',
		'headers in place of it': 'HTTP/1.1 200 OK\r\n',
	};
	for (const [name, bytes] of Object.entries(rows)) {
		await t.test(name, async (t) => {
			const { proxy, token } = await withBrokenRegistry(t, NAME, (socket) => {
				socket.write(head('200 OK', 'Transfer-Encoding: chunked\r\n'));
				socket.write(bytes);
			});
			assertTold(await ask(proxy, BLOB, { token }), UNREACHABLE, proxy);
		});
	}
});

test('in the middle of a manifest', { timeout: 60_000, concurrency: true }, async (t) => {
	await Promise.all(
		Object.entries(MANIFEST_BREAKS).map(([name, { answer, told, env }]) =>
			t.test(name, { timeout: 20_000 }, async (t) => {
				const { proxy, token } = await withBrokenRegistry(t, NAME, answer, env);
				assertTold(await ask(proxy, MANIFEST, { token, headers: { accept: ACCEPT } }), told, proxy);
			}),
		),
	);
});

test('what nobody asked for is not read', { timeout: 20_000 }, async (t) => {
	const rows: Record<string, { bytes: string; path: string; question?: Question }> = {
		'a body after a 304': {
			bytes: `HTTP/1.1 304 Not Modified\r\nETag: "${LAYER.digest}"\r\nContent-Length: 100\r\n\r\n`,
			path: BLOB,
			question: { headers: { 'if-none-match': `"${LAYER.digest}"` } },
		},
		'a body after a HEAD': { bytes: head('200 OK', 'Content-Length: 100\r\n'), path: BLOB, question: { method: 'HEAD' } },
		'a second answer': {
			bytes: `${head('200 OK', 'Content-Length: 2\r\n')}okHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong`,
			path: BLOB,
		},
	};
	for (const [name, { bytes, path, question = {} }] of Object.entries(rows)) {
		await t.test(name, async (t) => {
			const { proxy, token } = await withBrokenRegistry(t, NAME, (socket) => void socket.write(bytes));
			for (let i = 0; i < 3; i++) {
				const incoming = await begin(proxy, path, { ...question, token });
				assert.ok(incoming.statusCode! < 400, String(incoming.statusCode));
				assert.ok(['', 'ok'].includes(await text(incoming)));
			}
		});
	}
});
