import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { withBrokenRegistry } from '../../support/broken-registry.ts';
import { startBrokenServer } from '../../support/broken-server.ts';
import { assertTold, logged } from '../../support/expect.ts';
import type { Proxy } from '../../support/proxy.ts';
import { connectTo } from '../../support/raw-client.ts';
import { ask, assertError, begin } from '../../support/setup.ts';
import { until } from '../../support/until.ts';

/* A part was asked for, of an upstream that knows no parts: balena-engine takes a 200 for a reason to ask again, for ever. */

const NAME = 'acme/pinned/1.0.0';
const DIGEST = `sha256:${'b'.repeat(64)}`;
const BLOB = `/v2/${NAME}/blobs/${DIGEST}`;
const TAG = `"${DIGEST}"`;
/** One is read whole, the other is streamed. */
const SIZES = [1000, 200_000];
const bodyOf = (size: number): Buffer => Buffer.from(Array.from({ length: size }, (_, i) => 97 + (i % 23)));

const whole = (size: number): string => `HTTP/1.1 200 OK\r\nETag: ${TAG}\r\nContent-Length: ${size}\r\n\r\n`;

interface Row {
	headers: Record<string, string>;
	method?: string;
	/** The whole where undefined. */
	part: (size: number) => readonly [first: number, last: number] | 416 | undefined;
}

const ROWS: Record<string, Row> = {
	'from the start': { headers: { range: 'bytes=0-9' }, part: () => [0, 9] },
	'from the middle': { headers: { range: 'bytes=500-599' }, part: () => [500, 599] },
	'with an open end': { headers: { range: 'bytes=400-' }, part: (size) => [400, size - 1] },
	'all of it': { headers: { range: 'bytes=0-' }, part: (size) => [0, size - 1] },
	'of the end': { headers: { range: 'bytes=-10' }, part: (size) => [size - 10, size - 1] },
	'of an end that is longer than it': { headers: { range: 'bytes=-999999' }, part: (size) => [0, size - 1] },
	'beyond the end': { headers: { range: 'bytes=990-999999' }, part: (size) => [990, size - 1] },
	'of one byte': { headers: { range: 'bytes=7-7' }, part: () => [7, 7] },
	'of another spelling': { headers: { range: 'Bytes=7-9' }, part: () => [7, 9] },
	'behind the end': { headers: { range: 'bytes=200000-' }, part: () => 416 },
	'of nothing': { headers: { range: 'bytes=-0' }, part: () => 416 },
	'if it is the same': { headers: { range: 'bytes=3-4', 'if-range': TAG }, part: () => [3, 4] },
	'if it is another': { headers: { range: 'bytes=3-4', 'if-range': '"x"' }, part: () => undefined },
	'if it is as old': { headers: { range: 'bytes=3-4', 'if-range': 'Thu, 26 Nov 2026 00:00:00 GMT' }, part: () => undefined },
	// containers/image asks for several, and cuts a 200 itself.
	'of several': { headers: { range: 'bytes=0-1,5-6' }, part: () => undefined },
	'of another unit': { headers: { range: 'lines=0-1' }, part: () => undefined },
	'that is none': { headers: { range: 'bytes=5-4' }, part: () => undefined },
	'of a HEAD, for which there are no parts': { headers: { range: 'bytes=3-4' }, method: 'HEAD', part: () => undefined },
};

/** Where the bytes are: with the registry, in its own storage, or in a storage elsewhere. */
const PLACES: Record<string, (storage: string) => string | undefined> = {
	'of the registry': () => undefined,
	'of its own storage': () => '/storage/blob',
	'of a storage elsewhere': (storage) => `${storage}/blob`,
};

for (const [place, redirect] of Object.entries(PLACES)) {
	test(`a part ${place}, which knows none`, { timeout: 60_000 }, async (t) => {
		let size = 0;
		const answer = (socket: Socket, head: string): void => {
			socket.write(whole(size));
			if (head.startsWith('GET')) {
				socket.write(bodyOf(size));
			}
		};
		const { url: storage } = await startBrokenServer(t, answer);
		const location = redirect(storage);
		const { proxy, token } = await withBrokenRegistry(
			t,
			NAME,
			(socket, head) =>
				location === undefined || head.includes(' /storage/')
					? answer(socket, head)
					: void socket.write(`HTTP/1.1 307 Temporary Redirect\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`),
			{ FOLLOW_REDIRECTS: 'http', FOLLOW_REDIRECTS_ALLOW: '127.0.0.0/8' },
		);
		for (size of SIZES) {
			const body = bodyOf(size);
			for (const [what, { headers, method, part }] of Object.entries(ROWS)) {
				await t.test(`${what}: ${size} bytes`, async () => {
					const got = await ask(proxy, BLOB, { token, headers, ...(method === undefined ? {} : { method }) });
					const expected = part(size);
					if (expected === 416) {
						assertError(got, 416, 'UNSUPPORTED');
						assert.equal(got.headers['content-range'], `bytes */${size}`);
						return;
					}
					const [first, last] = expected ?? [0, size - 1];
					assert.deepEqual(
						[got.status, got.headers['content-range'], got.headers['content-length'], got.text],
						[
							expected === undefined ? 200 : 206,
							expected === undefined ? undefined : `bytes ${first}-${last}/${size}`,
							String(last + 1 - first),
							method === 'HEAD' ? '' : body.subarray(first, last + 1).toString(),
						],
					);
				});
			}
		}
		assert.equal(
			logged(proxy, ({ level, msg }) => level >= 40 && msg !== 'request'),
			undefined,
			'nothing has broken off',
		);
	});
}

test('a part where the length is not known is the whole', async (t) => {
	const { proxy, token } = await withBrokenRegistry(
		t,
		NAME,
		(socket) => void socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n'),
	);
	const answer = await ask(proxy, BLOB, { token, headers: { range: 'bytes=4-' } });
	assert.deepEqual([answer.status, answer.headers['content-range'], answer.text], [200, undefined, '0123456789']);
});

const PIECE = bodyOf(100_000);

test('a part of a large blob: what is behind it is not read, and its connection serves on', { timeout: 60_000 }, async (t) => {
	for (const version of ['1.0', '1.1']) {
		await t.test(`HTTP/${version}`, async (t) => {
			let closed = 0;
			const { proxy, token, registry } = await withBrokenRegistry(t, NAME, (socket) => {
				socket.once('close', () => closed++);
				// More than all buffers on the way: it never ends.
				socket.write(whole(1_000_000_000));
				const more = (): void => void (socket.writable && socket.write(PIECE) && setImmediate(more));
				socket.on('drain', more);
				more();
			});
			const request = (range: string, connection: string): string =>
				`GET ${BLOB} HTTP/${version}\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nRange: ${range}\r\nConnection: ${connection}\r\n\r\n`;
			const socket = connectTo(proxy);
			socket.write(request('bytes=150000-150009', 'keep-alive'));
			let got = '';
			socket.setEncoding('latin1').on('data', (piece: string) => (got += piece));
			await until(() => got.endsWith(PIECE.subarray(50_000, 50_010).toString()));
			await until(() => closed === 1);
			socket.write(request('bytes=0-1', 'close'));
			// An end, no reset: it would be an error.
			await new Promise((resolve, reject) => socket.once('end', resolve).once('error', reject));
			assert.match(got, /HTTP\/1\.1 206 [^]*HTTP\/1\.1 206 [^]*\r\n\r\nab$/);
			await until(() => registry.open === 0);
			assert.equal(
				logged(proxy, ({ level }) => level >= 40),
				undefined,
			);
		});
	}
});

test('a client that goes away while the beginning is skipped ends it', { timeout: 20_000 }, async (t) => {
	const { proxy, token, registry } = await withBrokenRegistry(t, NAME, (socket) => {
		socket.write(whole(1_000_000_000));
		socket.write(bodyOf(100_000));
	});
	const socket = connectTo(proxy);
	socket.write(`GET ${BLOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nRange: bytes=900000000-\r\n\r\n`);
	await until(() => registry.open === 1);
	socket.destroy();
	await until(() => registry.open === 0);
});

const BREAKS: Record<string, { breakOff: (socket: Socket) => void; env?: Record<string, string>; status: number }> = {
	'a reset': { breakOff: (socket) => socket.resetAndDestroy(), status: 502 },
	'a FIN': { breakOff: (socket) => socket.end(), status: 502 },
	'nothing more': { breakOff: () => undefined, env: { REGISTRY_BODY_TIMEOUT: '0.3' }, status: 504 },
};

for (const [what, { breakOff, env, status }] of Object.entries(BREAKS)) {
	test(`${what} before the part is an error that is told, and in it a connection that ends too early`, { timeout: 30_000 }, async (t) => {
		const { proxy, token } = await withBrokenRegistry(
			t,
			NAME,
			(socket) => {
				socket.write(whole(1_000_000));
				socket.write(bodyOf(300_000), () => setTimeout(() => breakOff(socket), 50));
			},
			env,
		);
		const told = await ask(proxy, BLOB, { token, headers: { range: 'bytes=500000-' } });
		assertTold(told, { status, code: 'UNAVAILABLE', words: /registry (could not be reached|did not answer in time)/ }, proxy);
		assert.equal(told.headers['content-range'], undefined);
		const incoming = await begin(proxy, BLOB, { token, headers: { range: 'bytes=250000-' } });
		assert.equal(incoming.statusCode, 206);
		await assert.rejects(text(incoming), { code: 'ECONNRESET' });
		assert.ok(broken(proxy));
	});
}

const broken = (proxy: Proxy): boolean => logged(proxy, ({ level, msg }) => level === 40 && /broke off/.test(msg)) !== undefined;
