import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, begin, forgetRequests, seen, setUp, tokenFor } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { sendRaw } from '../support/raw-client.ts';

/*
 * Requests that two servers in a row could read as different ones (RFC 9112 section 11.2): the ends are ambiguous. Whatever stands behind such an end must not be taken for
 * a request, and nothing of it may reach an upstream.
 */

const upstream = await sharedUpstream();
const FORM = 'Content-Type: application/x-www-form-urlencoded\r\n';
/** What an attacker would like to have taken for a request of somebody else's. It asks the API for a token, which a relay would see. */
const SMUGGLED = 'GET /auth/v1/token?scope=repository:acme/smuggled:pull HTTP/1.1\r\nHost: x\r\n\r\n';
const post = (headers: string, body: string): string => `POST /auth/v1/token HTTP/1.1\r\nHost: x\r\n${FORM}${headers}\r\n${body}`;
const get = (headers: string, body = ''): string => `GET /ping HTTP/1.1\r\nHost: x\r\n${headers}\r\n${body}`;
const chunked = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;

/** Refused with 400, and the connection ends: whatever follows is not read. */
const REFUSED: Record<string, string> = {
	'Transfer-Encoding and Content-Length': post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${SMUGGLED}`),
	'Content-Length and Transfer-Encoding': post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', `0\r\n\r\n${SMUGGLED}`),
	'the same with a GET': get('Transfer-Encoding: chunked\r\nContent-Length: 6\r\n', `0\r\n\r\n${SMUGGLED}`),
	'two lengths that differ': post(`Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n`, SMUGGLED),
	'two lengths that agree': post(`Content-Length: 0\r\nContent-Length: 0\r\n`, SMUGGLED),
	'a list of lengths': post('Content-Length: 0, 0\r\n', SMUGGLED),
	'a length with a sign': post('Content-Length: +0\r\n', SMUGGLED),
	'a negative length': post('Content-Length: -1\r\n', SMUGGLED),
	'a hexadecimal length': post('Content-Length: 0x10\r\n', SMUGGLED),
	'a length that overflows': post('Content-Length: 18446744073709551616\r\n', SMUGGLED),
	'a length with a space in it': post('Content-Length: 1 0\r\n', SMUGGLED),
	'a space before the colon': post('Content-Length : 0\r\n', SMUGGLED),
	'a tab before the colon': post('Transfer-Encoding\t: chunked\r\n', `0\r\n\r\n${SMUGGLED}`),
	'obs-fold': post('X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\nTransfer-Encoding:\r\n chunked\r\n', SMUGGLED),
	'an encoding before chunked that is no list': post('Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${SMUGGLED}`),
	'chunked and something after it': post('Transfer-Encoding: chunked, identity\r\n', `0\r\n\r\n${SMUGGLED}`),
	'chunked twice': post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', `0\r\n\r\n${SMUGGLED}`),
	'a quoted encoding': post('Transfer-Encoding: "chunked"\r\n', `0\r\n\r\n${SMUGGLED}`),
	'an empty header name': post(': x\r\nContent-Length: 0\r\n', SMUGGLED),
	'a header without a colon': post('X\r\nContent-Length: 0\r\n', SMUGGLED),
	'a NUL in a header': post('X: a\0b\r\nContent-Length: 0\r\n', SMUGGLED),
	'a bare CR in a header': post('X: a\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n', SMUGGLED),
	'a bare CR as the end of a line': `POST /auth/v1/token HTTP/1.1\rHost: x\r${FORM}Content-Length: 0\r\n\r\n${SMUGGLED}`,
	'a size of a chunk that overflows': post('Transfer-Encoding: chunked\r\n', `10000000000000000\r\n${SMUGGLED}`),
	'a size of a chunk with a sign': post('Transfer-Encoding: chunked\r\n', `-1\r\n\r\n${SMUGGLED}`),
	'a size of a chunk with a prefix': post('Transfer-Encoding: chunked\r\n', `0x0\r\n\r\n${SMUGGLED}`),
	'a chunk that is longer than its size': post('Transfer-Encoding: chunked\r\n', `1\r\nab\r\n0\r\n\r\n${SMUGGLED}`),
	'a chunk that ends with a bare LF': post('Transfer-Encoding: chunked\r\n', `1\r\na\n0\r\n\r\n${SMUGGLED}`),
	'a bare LF after the size of a chunk': post('Transfer-Encoding: chunked\r\n', `0\n\r\n${SMUGGLED}`),
	'a bare LF in a chunk extension': post('Transfer-Encoding: chunked\r\n', `0;a\nb\r\n\r\n${SMUGGLED}`),
	'a bare CR in a chunk extension': post('Transfer-Encoding: chunked\r\n', `0;a\rb\r\n\r\n${SMUGGLED}`),
	'a chunk extension of 64 KB': post('Transfer-Encoding: chunked\r\n', `1;${'a'.repeat(65_536)}\r\nx\r\n0\r\n\r\n${SMUGGLED}`),
	'no Host': 'GET /ping HTTP/1.1\r\n\r\n',
	'a length among the trailers': post('Transfer-Encoding: chunked\r\n', `0\r\nContent-Length: 5\r\n\r\n${SMUGGLED}`),
	'HTTP/2 by prior knowledge': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
	'HTTP/1.9': `GET /ping HTTP/1.9\r\nHost: x\r\n\r\n${SMUGGLED}`,
	'a space in the target': `GET /ping x HTTP/1.1\r\nHost: x\r\n\r\n${SMUGGLED}`,
	'a method that is none': `G=T /ping HTTP/1.1\r\nHost: x\r\n\r\n${SMUGGLED}`,
};

/** Read as one request with the body that is said, and another one after it. */
const CLEAR: Record<string, { bytes: string; statuses: number[] }> = {
	'chunked, with an extension': { bytes: post('Transfer-Encoding: chunked\r\n', `4;name="value"\r\nx=yz\r\n0\r\n\r\n`), statuses: [200] },
	'chunked, with a trailer': { bytes: post('Transfer-Encoding: chunked\r\n', `0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n`), statuses: [200] },
	'a body of a GET': { bytes: get('Content-Length: 5\r\n', 'hello'), statuses: [200] },
	'a request in a body': { bytes: post(`Content-Length: ${SMUGGLED.length}\r\n`, SMUGGLED), statuses: [200] },
	'a request in a chunk': { bytes: post('Transfer-Encoding: chunked\r\n', chunked(SMUGGLED)), statuses: [200] },
	'a request in the body of a GET': { bytes: get(`Content-Length: ${SMUGGLED.length}\r\n`, SMUGGLED), statuses: [200] },
	'a request in a header': { bytes: get(`X: ${SMUGGLED.replaceAll('\r\n', ' ')}\r\n`), statuses: [200] },
	'an empty line before the request': { bytes: `\r\n${get('')}`, statuses: [200] },
};

test('requests whose end is ambiguous are refused, and the connection with them:', { timeout: 60_000 }, async (t) => {
	const setup = await setUp(t);
	const { proxy } = setup;
	await tokenFor(proxy, 'acme/pinned');
	for (const [name, bytes] of Object.entries(REFUSED)) {
		await t.test(name, { timeout: 5000 }, async () => {
			forgetRequests(setup);
			const { answers, text } = await sendRaw(proxy, bytes);
			assert.equal(answers.length, 1, text);
			assert.ok([400, 413, 431, 505].includes(answers[0]!.status), text);
			assert.deepEqual([...seen(setup.api), ...seen(setup.registry)], []);
			if (answers[0]!.body !== '') {
				assert.equal(answers[0]!.headers['content-type'], 'application/json');
				assert.equal(JSON.parse(answers[0]!.body).errors[0].code, 'UNSUPPORTED');
			}
		});
	}
});

test('requests whose end is clear are read to it, and not beyond:', { timeout: 60_000 }, async (t) => {
	const setup = await setUp(t);
	const { proxy } = setup;
	await tokenFor(proxy, []);
	for (const [name, { bytes, statuses }] of Object.entries(CLEAR)) {
		await t.test(name, { timeout: 5000 }, async () => {
			forgetRequests(setup);
			const { answers, text } = await sendRaw(proxy, bytes, 'GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
			assert.deepEqual(
				answers.map(({ status }) => status),
				[...statuses, 200],
				text,
			);
			assert.equal(answers.at(-1)!.body, 'pong');
			assert.deepEqual([...seen(setup.api, ({ url }) => url.includes('smuggled')), ...seen(setup.registry)], []);
		});
	}
});

test('towards the upstreams nothing of a client’s framing goes', { timeout: 20_000 }, async (t) => {
	const setup = await setUp(t, { MANIFEST_CACHE_BYTES: '0' });
	const { proxy, registry } = setup;
	const token = await tokenFor(proxy, 'acme/pinned');
	forgetRequests(setup);
	const { answers } = await sendRaw(
		proxy,
		`GET /v2/acme/pinned/manifests/latest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nAccept: */*\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nExpect: 100-continue\r\nUpgrade: websocket\r\n` +
			`Connection: keep-alive, Authorization, X-Forwarded-For\r\nKeep-Alive: timeout=9\r\nProxy-Authorization: Basic eDp5\r\nX-Forwarded-For: 1.2.3.4\r\nCookie: a=b\r\n\r\n${chunked(SMUGGLED)}`,
		'GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
	);
	assert.ok(answers.length >= 1);
	for (const { headers, body } of registry.requests) {
		assert.equal(body, '');
		for (const name of [
			'transfer-encoding',
			'te',
			'expect',
			'upgrade',
			'keep-alive',
			'proxy-authorization',
			'x-forwarded-for',
			'cookie',
			'content-length',
		]) {
			assert.equal(headers[name], undefined, name);
		}
		assert.equal(headers.authorization, `Bearer ${token.split('~')[0]}`);
	}
});

test('no other protocol is switched to', { timeout: 20_000 }, async (t) => {
	const { proxy } = await setUp(t);
	for (const upgrade of ['h2c', 'websocket', 'TLS/1.2']) {
		assert.equal((await ask(proxy, '/ping', { headers: { connection: 'Upgrade', upgrade } })).status, 200);
	}
	const { text } = await sendRaw(proxy, 'CONNECT acme.example:443 HTTP/1.1\r\nHost: acme.example:443\r\n\r\n');
	assert.doesNotMatch(text, /^HTTP\/1\.1 [12]/);
});

test('garbage behind a request does not end up in the middle of its answer', { timeout: 20_000 }, async (t) => {
	const { proxy } = await setUp(t);
	const { digest, size } = imageOf(upstream, 'acme/pinned').platforms[0]!.layers[0]!;
	const token = await tokenFor(proxy, 'acme/pinned');
	const path = `/v2/acme/pinned/blobs/${digest}`;
	const { text } = await sendRaw(proxy, `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n\x01\x02garbage\r\n\r\n`);
	const head = text.indexOf('\r\n\r\n');
	if (text.startsWith('HTTP/1.1 200')) {
		// As much of the blob as came; never anything else in its place.
		const body = text.slice(head + 4);
		const whole = await begin(proxy, path, { token });
		let expected = '';
		for await (const chunk of whole.setEncoding('latin1')) {
			expected += chunk as string;
		}
		assert.equal(expected.length, size);
		assert.ok(expected.startsWith(body.slice(0, size)), 'something else is in the body');
	} else {
		assert.match(text, /^HTTP\/1\.1 400 /);
	}
	assert.equal((await ask(proxy, '/ping')).text, 'pong');
});
