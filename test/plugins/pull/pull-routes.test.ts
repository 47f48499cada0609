import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { basic } from '../../support/proxy.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { ask, assertError, forgetRequests, seen, setUp, tokenFor } from '../../support/setup.ts';

/* What no client should send is answered as the distribution-spec says errors look, and reaches no path of the upstream's. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned';
const { repository, digest } = imageOf(upstream, NAME);

/** Those that registries know. */
const METHODS = new Set(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

test('nothing can be written', async (t) => {
	const setup = await setUp(t);
	const { proxy } = setup;
	const token = await tokenFor(proxy, NAME);
	forgetRequests(setup);
	const rows: [method: string, path: string][] = [
		['POST', `/v2/${NAME}/blobs/uploads/`],
		['POST', `/v2/${NAME}/blobs/uploads/?mount=${digest}&from=acme/other`],
		['PUT', `/v2/${NAME}/blobs/uploads/0?digest=${digest}`],
		['PATCH', `/v2/${NAME}/blobs/uploads/0`],
		['PUT', `/v2/${NAME}/manifests/latest`],
		['PUT', `/v2/${repository}/manifests/latest`],
		['DELETE', `/v2/${NAME}/manifests/${digest}`],
		['DELETE', `/v2/${NAME}/blobs/${digest}`],
		['POST', '/v2/'],
		['PUT', '/v2'],
		['DELETE', '/v2/_catalog'],
		['OPTIONS', `/v2/${NAME}/manifests/latest`],
		['PROPFIND', `/v2/${NAME}/manifests/latest`],
		['TRACE', `/v2/${NAME}/manifests/latest`],
		['PUT', '/auth/v1/token'],
		['DELETE', '/auth/v1/token'],
		['POST', '/anything'],
	];
	for (const [method, path] of rows) {
		for (const headers of [{}, { authorization: `Bearer ${token}` }, { authorization: basic(upstream.keys.owner) }] as Record<
			string,
			string
		>[]) {
			await t.test(`${method} ${path} ${(headers['authorization'] ?? '').slice(0, 6)}`, async () => {
				const answer = await ask(proxy, path, { method, headers });
				assertError(answer, 405, 'UNSUPPORTED');
				if (path.startsWith('/v2/') && METHODS.has(method)) {
					assert.equal(answer.headers.allow, 'GET, HEAD');
				}
			});
		}
	}
	await t.test('a push that sends a body is answered before the body is read', async () => {
		const answer = await ask(proxy, `/v2/${NAME}/blobs/uploads/`, {
			method: 'POST',
			token,
			body: 'x'.repeat(100),
			headers: { 'content-type': 'application/octet-stream', 'content-length': '100000000' },
		}).catch(() => undefined);
		assert.ok(answer === undefined || answer.status === 405);
		assert.equal((await ask(proxy, '/ping')).text, 'pong');
	});
	assert.deepEqual([seen(setup.api), seen(setup.registry)], [[], []]);
});

/** Paths that mean nothing, or not what they try to: as they are sent, not as a browser would tidy them up. */
const PATHS: [path: string, status: number, code: string][] = [
	['/v1/', 404, 'UNSUPPORTED'],
	['/v2x', 404, 'UNSUPPORTED'],
	['/v3/acme/pinned/manifests/latest', 404, 'UNSUPPORTED'],
	['/auth', 404, 'UNSUPPORTED'],
	['/auth/v1/token/x', 404, 'UNSUPPORTED'],
	['/v2/acme/pinned', 404, 'UNSUPPORTED'],
	['/v2/acme/pinned/', 404, 'UNSUPPORTED'],
	['/v2/acme/pinned/manifests', 404, 'UNSUPPORTED'],
	['/v2/acme/pinned/manifests/', 400, 'TAG_INVALID'],
	['/v2/acme/pinned/tags', 404, 'UNSUPPORTED'],
	['/v2/acme/pinned/tags/latest', 404, 'UNSUPPORTED'],
	['/v2/acme/pinned/blobs/uploads/', 404, 'UNSUPPORTED'],
	['/v2/acme/pinned/blobs/uploads/0', 404, 'UNSUPPORTED'],
	['/v2/manifests/latest', 400, 'NAME_INVALID'],
	['/v2//manifests/latest', 400, 'NAME_INVALID'],
	['/v2//acme/pinned/manifests/latest', 400, 'NAME_INVALID'],
	['/v2/acme//pinned/manifests/latest', 400, 'NAME_INVALID'],
	['/v2/acme/pinned//manifests/latest', 400, 'NAME_INVALID'],
	['/v2/../_catalog', 404, 'UNSUPPORTED'],
	['/v2/../v2/manifests/latest', 400, 'NAME_INVALID'],
	['/v2/acme/../../secret/manifests/latest', 400, 'NAME_INVALID'],
	['/v2/acme/%2e%2e/secret/manifests/latest', 400, 'NAME_INVALID'],
	['/v2/acme/..%2f..%2fsecret/manifests/latest', 400, 'NAME_INVALID'],
	['/v2/acme%252f..%252fsecret/manifests/latest', 400, 'NAME_INVALID'],
	['/v2/acme/pinned/manifests/..', 400, 'TAG_INVALID'],
	['/v2/acme/pinned/manifests/%2e%2e', 400, 'TAG_INVALID'],
	['/v2/acme/pinned/manifests/..%2f..%2fblobs', 404, 'UNSUPPORTED'],
	['/v2/acme/pinned/manifests/latest%0d%0ax:%20y', 400, 'DIGEST_INVALID'],
	['/v2/acme/pinned/manifests/latest%00', 400, 'TAG_INVALID'],
	['/v2/acme/pinned/manifests/latest%20', 400, 'TAG_INVALID'],
	['/v2/acme/pinned/manifests/latest;x', 400, 'TAG_INVALID'],
	['/v2/acme/pinned/manifests/latest%3fx', 400, 'TAG_INVALID'],
	['/v2/acme/pinned/manifests/latest%23', 400, 'TAG_INVALID'],
	[`/v2/acme/pinned/manifests/${'x'.repeat(129)}`, 400, 'TAG_INVALID'],
	['/v2/acme/pinned/manifests/sha256:', 400, 'DIGEST_INVALID'],
	['/v2/acme/pinned/manifests/sha256:abc', 400, 'DIGEST_INVALID'],
	[`/v2/acme/pinned/manifests/sha256:${'A'.repeat(64)}`, 400, 'DIGEST_INVALID'],
	[`/v2/acme/pinned/manifests/sha256:${'a'.repeat(65)}`, 400, 'DIGEST_INVALID'],
	[`/v2/acme/pinned/manifests/sha512:${'a'.repeat(64)}`, 400, 'DIGEST_INVALID'],
	[`/v2/acme/pinned/manifests/md5:${'a'.repeat(32)}`, 400, 'DIGEST_INVALID'],
	[`/v2/acme/pinned/manifests/sha256:${'a'.repeat(64)}%2f..`, 404, 'UNSUPPORTED'],
	['/v2/acme/pinned/blobs/latest', 400, 'DIGEST_INVALID'],
	['/v2/acme/pinned/referrers/latest', 400, 'DIGEST_INVALID'],
	[`/v2/acme/pinned/referrers/${digest}?artifactType=a%0d%0ab`, 400, 'MANIFEST_INVALID'],
	[`/v2/acme/pinned/referrers/${digest}?artifactType=../x`, 400, 'MANIFEST_INVALID'],
	['/v2/Acme/pinned/manifests/latest', 400, 'NAME_INVALID'],
	['/v2/acme/pinned@x/manifests/latest', 400, 'NAME_INVALID'],
	['/v2/acme/p%C3%AFnned/manifests/latest', 400, 'NAME_INVALID'],
	[`/v2/acme/${'a'.repeat(251)}/manifests/latest`, 400, 'NAME_INVALID'],
	[`/v2/${'a/'.repeat(200)}manifests/latest`, 400, 'NAME_INVALID'],
	[`/v2/${'a'.repeat(1100)}/manifests/latest`, 414, 'NAME_INVALID'],
	[`/v2/acme/pinned/manifests/latest${'/'.repeat(2000)}`, 414, 'NAME_INVALID'],
	['/v2/acme/%zz/manifests/latest', 400, 'NAME_INVALID'],
	['/v2/acme/%/manifests/latest', 400, 'NAME_INVALID'],
	['/v2/acme/%c3%28/manifests/latest', 400, 'NAME_INVALID'],
	['/v2/acme/%ff/manifests/latest', 400, 'NAME_INVALID'],
	['//evil.example/v2/acme/pinned/manifests/latest', 404, 'UNSUPPORTED'],
	['/%zz', 404, 'UNSUPPORTED'],
	['/%2e%2e/v2/', 404, 'UNSUPPORTED'],
	['http://evil.example/nothing', 404, 'UNSUPPORTED'],
];

test('paths that mean nothing', async (t) => {
	// Where there are pages for people, some of these are pages that are not there.
	const setup = await setUp(t, { LANDING_PAGE: 'off' });
	const { proxy, api, registry } = setup;
	const token = await tokenFor(proxy, NAME);
	for (const [path, status, code] of PATHS) {
		await t.test(path.slice(0, 80), async () => {
			forgetRequests(setup);
			for (const question of [{}, { token }, { token, method: 'HEAD' }]) {
				const answer = await ask(proxy, path, question);
				assert.equal(answer.status, status, answer.text);
				assert.equal(answer.headers['content-type'], 'application/json');
				if (!('method' in question)) {
					assertError(answer, status, code);
				}
			}
			assert.deepEqual([seen(api), seen(registry)], [[], []]);
		});
	}
});

test('names that only look odd', async (t) => {
	const { proxy } = await setUp(t);
	for (const name of [
		'acme/manifests',
		'manifests/blobs',
		'acme/tags/list',
		'a--b/c__d',
		`a/${'b'.repeat(250)}`,
		'acme/_catalog'.replace('_', 'x'),
	]) {
		await t.test(name.slice(0, 40), async () => {
			const answer = await ask(proxy, `/v2/${name}/manifests/latest`);
			assertError(answer, 401, 'UNAUTHORIZED');
			assert.ok(answer.headers['www-authenticate']!.endsWith(`scope="repository:${name}:pull"`));
		});
	}
});

/** Sends bytes as they are, and reads until the connection ends. */
async function sendRaw(port: string, bytes: string): Promise<{ head: string; body: string }> {
	const socket = connect(Number(port), '127.0.0.1');
	await once(socket, 'connect');
	socket.write(bytes);
	const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n', 2);
	return { head, body };
}

test('what is no HTTP, or too much of it', async (t) => {
	const setup = await setUp(t);
	const { proxy } = setup;
	const port = new URL(proxy.url).port;
	const request = (headers: string, line = 'GET /v2/ HTTP/1.1'): string => `${line}\r\nHost: a\r\nConnection: close\r\n${headers}\r\n`;
	const rows: Record<string, { bytes: string; status: number }> = {
		'a header of 20,000 characters': { bytes: request(`X-Long: ${'x'.repeat(20_000)}\r\n`), status: 431 },
		'a token of 20,000 characters': { bytes: request(`Authorization: Bearer ${'x'.repeat(20_000)}\r\n`), status: 431 },
		'a path of 20,000 characters': { bytes: request('', `GET /v2/${'x'.repeat(20_000)} HTTP/1.1`), status: 431 },
		'a header without a name': { bytes: request(': x\r\n'), status: 400 },
		'a line break in a header': { bytes: request('X-A: b\nX-C\r\n'), status: 400 },
		'a null byte in a header': { bytes: request('X-A: b\0c\r\n'), status: 400 },
		'two lengths': { bytes: request('Content-Length: 1\r\nContent-Length: 2\r\n'), status: 400 },
		'a length and chunks': { bytes: request('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n'), status: 400 },
		'a space in the path': { bytes: request('', 'GET /v2/ x HTTP/1.1'), status: 400 },
		'an unknown method': { bytes: request('', 'PULL /v2/ HTTP/1.1'), status: 400 },
		'no HTTP at all': { bytes: 'hello\r\n\r\n', status: 400 },
		TLS: { bytes: '\x16\x03\x01\x00\x05hello', status: 400 },
		'HTTP/2': { bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', status: 400 },
	};
	for (const [what, { bytes, status }] of Object.entries(rows)) {
		await t.test(what, async () => {
			const { head, body } = await sendRaw(port, bytes);
			assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `), head);
			assert.match(head, /^content-type: application\/json\r?$/im, head);
			const { errors } = JSON.parse(body);
			assert.deepEqual(Object.keys(errors[0]).sort(), ['code', 'message']);
		});
	}
	await t.test('a request without Host of HTTP/1.0', async () => {
		const { head, body } = await sendRaw(port, 'GET /v2/ HTTP/1.0\r\n\r\n');
		assert.match(head, /^HTTP\/1\.1 400 /);
		assert.equal(JSON.parse(body).errors[0].code, 'UNSUPPORTED');
	});
	assert.deepEqual([seen(setup.api), seen(setup.registry)], [[], []]);
	assert.equal((await ask(proxy, '/ping')).text, 'pong');
});
