import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { startProxy, type Proxy } from '../support/proxy.ts';
import { tokenFor } from '../support/setup.ts';
import { startRelay } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* What no client sends, over plain sockets. */

const upstream = await sharedUpstream();
const NAME = 'balenalabs/browser-aarch64';

/** Sends bytes, and reads until the other side closes. */
function send({ host }: Proxy, bytes: string): Promise<string> {
	const [address, port] = host.split(':');
	return new Promise((resolve, reject) => {
		const socket = connect(Number(port), address, () => socket.write(bytes, 'latin1'));
		let answer = '';
		socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
		socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? resolve(answer) : reject(error)));
		socket.on('close', () => resolve(answer));
	});
}

const statuses = (answer: string): number[] => [...answer.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map((match) => Number(match[1]));

describe('requests whose end two readers could see in different places', () => {
	const post = 'POST /auth/v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n';
	const hidden = 'GET /v2/acme/hidden/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n';
	const rows: Record<string, string> = {
		'Transfer-Encoding with Content-Length': `${post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
		'two Content-Lengths': `${post}Content-Length: 0\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
		'a Content-Length with a sign': `${post}Content-Length: +0\r\n\r\n${hidden}`,
		'a folded header': `${post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${hidden}`,
		'a space before the colon': `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${hidden}`,
		'an encoding that only looks like chunked': `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`,
		'a chunk whose length is no number': `${post}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n${hidden}`,
		'a bare line feed in a header': `${post}X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
		'a carriage return in a header': `${post}X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
		'a NUL in a header': `${post}X: a\0b\r\n\r\n${hidden}`,
	};
	for (const [what, bytes] of Object.entries(rows)) {
		test(what, async (t) => {
			const proxy = await startProxy(t, upstream);
			const answer = await send(proxy, bytes);
			assert.deepEqual(statuses(answer), [400], answer);
			assert.match(answer, /"errors":\[\{"code":/);
			assert.doesNotMatch(proxy.log.join(''), /acme\/hidden/);
		});
	}
});

describe('requests that are too large or too slow', () => {
	test('64 KB of headers', async (t) => {
		const proxy = await startProxy(t, upstream);
		const answer = await send(proxy, `GET /v2/ HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(64 * 1024)}\r\n\r\n`);
		assert.deepEqual(statuses(answer), [431]);
		assert.match(answer, /content-type: application\/json\r\n/i);
	});

	test('a form of 64 MB is not read', async (t) => {
		const proxy = await startProxy(t, upstream);
		const answer = await send(
			proxy,
			`POST /auth/v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${64 << 20}\r\n\r\na=1`,
		);
		assert.deepEqual(statuses(answer), [413]);
	});

	for (const [what, bytes] of [
		['a client that says nothing', ''],
		['headers that never end', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nX: a'],
		[
			'a body that never comes',
			'POST /auth/v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na',
		],
	] as const) {
		test(`${what}: the connection is closed, and others are answered in the meantime`, async (t) => {
			const proxy = await startProxy(t, upstream, { CLIENT_TIMEOUT: '0.5' });
			const slow = send(proxy, bytes);
			assert.equal(await (await fetch(`${proxy.url}/ping`)).text(), 'pong');
			assert.ok(statuses(await slow).every((status) => status === 408));
		});
	}
});

test('no value of a client makes the proxy connect to anything but its two upstreams', async (t) => {
	const [api, registry] = await Promise.all([startRelay(upstream.apiUrl), startRelay(upstream.registryUrl)]);
	const trap = await startRelay(upstream.apiUrl);
	t.after(() => Promise.all([api.close(), registry.close(), trap.close()]));
	const proxy = await startProxy(t, { apiUrl: api.url, registryUrl: registry.url });
	const { host } = new URL(trap.url);
	const token = await tokenFor(proxy, NAME);
	const forged = `${token.split('~')[0]}~${Buffer.from(JSON.stringify({ n: { [NAME]: [`v2/../../..//${host}/x`, '1'] } })).toString('base64url')}`;
	for (const bytes of [
		`GET ${trap.url}/v2/${NAME}/manifests/latest HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
		`GET //${host}/v2/${NAME}/manifests/latest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
		`GET /v2/${NAME}/manifests/latest HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-Host: ${host}\r\nForwarded: host=${host}\r\nAuthorization: Bearer ${forged}\r\nConnection: close\r\n\r\n`,
		`GET /auth/v1/token?service=${trap.url}&scope=repository:${host}/${NAME}:pull&realm=${trap.url} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
		`GET /v2/${NAME}/manifests/latest?ns=${host} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
		`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
	]) {
		const answer = await send(proxy, bytes);
		assert.doesNotMatch(answer, /^HTTP\/1\.1 5/);
	}
	assert.equal(trap.requests.length, 0);
	assert.ok(
		registry.requests.every(({ url }) => /^\/v2\/(?:v2\/[0-9a-f]{32}\/manifests\/latest)?$/.test(url)),
		JSON.stringify(registry.requests.map(({ url }) => url)),
	);
});
