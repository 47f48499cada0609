import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { startProxy, type Proxy } from '../../support/proxy.ts';
import { ask, assertError, tokenFor, type Answer, type Question } from '../../support/setup.ts';
import { imageOf } from '../../upstream/index.ts';
import { startRelay } from '../../upstream/relay.ts';
import { sharedUpstream } from '../../upstream/shared.ts';

const NAME = 'balenalabs/browser-aarch64';
const upstream = await sharedUpstream();
const blob = `blobs/${imageOf(upstream, NAME).platforms[0]!.layers[0]!.digest}`;

const XML = '<?xml version="1.0"?><Error><Code>SampleCode</Code><Resource>/bucket/secret</Resource></Error>';

/** An object storage that serves ranges of ten bytes and, as S3 does, refuses requests with an Authorization header. */
async function startStorage(t: TestContext): Promise<{ url: string; requests: IncomingMessage[] }> {
	const requests: IncomingMessage[] = [];
	const server = createServer((request, response) => {
		requests.push(request);
		if (request.headers.authorization !== undefined) {
			response.writeHead(400).end();
		} else if (request.url === '/loop') {
			response.writeHead(302, { location: '/loop' }).end();
		} else if (request.url!.startsWith('/to/')) {
			response.writeHead(302, { location: decodeURIComponent(request.url!.slice('/to/'.length)) }).end();
		} else if (request.url!.startsWith('/status/')) {
			const status = Number(request.url!.slice('/status/'.length));
			response.writeHead(status, {
				'content-type': 'application/xml',
				'x-amz-request-id': 'STORAGE',
				...(status === 204 ? {} : { 'content-length': XML.length }),
				...(status === 429 || status === 503 ? { 'retry-after': '7' } : {}),
				...(status === 416 ? { 'content-range': 'bytes */10' } : {}),
			});
			response.end(status === 204 ? undefined : XML);
		} else if (request.url === '/gone') {
			response.writeHead(403).end('<Error>SignatureDoesNotMatch</Error>');
		} else if (request.headers.range === 'bytes=4-') {
			response.writeHead(206, { 'content-range': 'bytes 4-9/10', 'content-length': 6 }).end('456789');
		} else {
			response.writeHead(200, { 'content-length': 10 }).end('0123456789');
		}
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	t.after(() => server.close());
	return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

/** @returns what the service says of a blob that the registry redirects */
async function pullRedirected(
	t: TestContext,
	location: string,
	env: Record<string, string>,
	headers?: Question['headers'],
): Promise<Answer & Pick<Proxy, 'log'>> {
	const registry = await startRelay(upstream.registryUrl);
	t.after(() => registry.close());
	registry.fault = ({ url = '' }) => (url.includes('/blobs/') ? { status: 307, headers: { location }, body: '' } : undefined);
	const proxy = await startProxy(t, { ...upstream, registryUrl: registry.url }, env);
	const answer = await ask(proxy, `/v2/${NAME}/${blob}`, { token: await tokenFor(proxy, NAME), headers });
	return { ...answer, log: proxy.log };
}

describe('redirects of blobs', () => {
	const LOOPBACK = { FOLLOW_REDIRECTS_ALLOW: '127.0.0.0/8' };
	const rows: { what: string; path: string; env: Record<string, string>; status: number; text?: string; asked: number }[] = [
		{ what: 'are passed on by default', path: '/blob', env: {}, status: 307, asked: 0 },
		{
			what: 'are followed when asked to',
			path: '/blob',
			env: { FOLLOW_REDIRECTS: 'http', ...LOOPBACK },
			status: 200,
			text: '0123456789',
			asked: 1,
		},
		{ what: 'never lead to loopback on their own', path: '/blob', env: { FOLLOW_REDIRECTS: 'http' }, status: 502, asked: 0 },
		{
			what: 'never lead to plain http with https only',
			path: '/blob',
			env: { FOLLOW_REDIRECTS: 'https', ...LOOPBACK },
			status: 502,
			asked: 0,
		},
		{ what: 'are not followed for ever', path: '/loop', env: { FOLLOW_REDIRECTS: 'http', ...LOOPBACK }, status: 502, asked: 3 },
		{
			what: 'to something that is refused are a failure of the registry',
			path: '/gone',
			env: { FOLLOW_REDIRECTS: 'http', ...LOOPBACK },
			status: 502,
			asked: 1,
		},
	];
	for (const { what, path, env, status, text, asked } of rows) {
		test(what, async (t) => {
			const storage = await startStorage(t);
			const answer = await pullRedirected(t, storage.url + path, env);
			assert.equal(answer.status, status, answer.text);
			assert.equal(storage.requests.length, asked);
			if (text !== undefined) {
				assert.equal(answer.text, text);
			}
			if (status === 307) {
				assert.equal(answer.headers.location, storage.url + path);
			}
		});
	}

	// About the blob, or about when to come again: the client's. All else is about a request that the client knows nothing of.
	const answers: [storage: number, status: number, code: string, retryAfter?: string][] = [
		[204, 502, 'UNAVAILABLE'],
		[301, 502, 'UNAVAILABLE'],
		[400, 502, 'UNAVAILABLE'],
		[401, 502, 'UNAVAILABLE'],
		[403, 502, 'UNAVAILABLE'],
		[404, 404, 'BLOB_UNKNOWN'],
		[405, 502, 'UNAVAILABLE'],
		[412, 502, 'UNAVAILABLE'],
		[416, 416, 'UNSUPPORTED'],
		[429, 429, 'TOOMANYREQUESTS', '7'],
		[500, 502, 'UNAVAILABLE'],
		[503, 503, 'UNAVAILABLE', '7'],
	];
	for (const [stored, status, code, retryAfter] of answers) {
		test(`whose storage answers ${stored}: ${status}, and its cause is in the log alone`, async (t) => {
			const storage = await startStorage(t);
			const answer = await pullRedirected(t, `${storage.url}/status/${stored}`, { FOLLOW_REDIRECTS: 'http', ...LOOPBACK });
			assertError(answer, status, code);
			assert.deepEqual([answer.headers['retry-after'], answer.headers['x-amz-request-id']], [retryAfter, undefined]);
			assert.doesNotMatch(answer.text, /SampleCode|bucket|storage/i);
			if (status >= 500) {
				assert.match(
					answer.log.join(''),
					new RegExp(`the object storage answered with status ${stored}${stored === 204 ? '' : ': SampleCode'}`),
				);
			}
			assert.doesNotMatch(answer.log.join(''), /bucket\/secret/);
		});
	}

	test('are followed with the range that the client asked for', async (t) => {
		const storage = await startStorage(t);
		const answer = await pullRedirected(t, `${storage.url}/blob`, { FOLLOW_REDIRECTS: 'http', ...LOOPBACK }, { range: 'bytes=4-' });
		assert.deepEqual([answer.status, answer.headers['content-range'], answer.text], [206, 'bytes 4-9/10', '456789']);
	});

	const RANGES: Record<string, [status: number, contentRange: string, text: string]> = {
		'bytes=2-5': [206, 'bytes 2-5/10', '2345'],
		'bytes=-3': [206, 'bytes 7-9/10', '789'],
	};
	for (const [range, expected] of Object.entries(RANGES)) {
		test(`are followed to a storage that ignores the range: ${range}`, async (t) => {
			const storage = await startStorage(t);
			const answer = await pullRedirected(t, `${storage.url}/blob`, { FOLLOW_REDIRECTS: 'http', ...LOOPBACK }, { range });
			assert.deepEqual([answer.status, answer.headers['content-range'], answer.text], expected);
		});
	}

	test('are followed to a storage that ignores a range which is not there', async (t) => {
		const storage = await startStorage(t);
		const answer = await pullRedirected(t, `${storage.url}/blob`, { FOLLOW_REDIRECTS: 'http', ...LOOPBACK }, { range: 'bytes=10-' });
		assert.deepEqual([answer.status, answer.headers['content-range']], [416, 'bytes */10']);
	});

	for (const location of [
		'http://169.254.169.254/latest/meta-data/',
		'http://[::1]:1/',
		'http://[::ffff:127.0.0.1]:1/',
		'http://localhost:1/',
		'http://0.0.0.0:1/',
		'http://2130706433:1/',
		'file:///etc/passwd',
		'ftp://example.com/',
	]) {
		test(`never lead to ${location}`, async (t) => {
			const { status, log } = await pullRedirected(t, location, { FOLLOW_REDIRECTS: 'http' });
			assert.equal(status, 502);
			assert.match(log.join(''), /which is (not allowed|this machine)/);
		});
	}

	// The storage itself is allowed here, and is asked; where it leads to is not.
	for (const location of [
		'http://169.254.169.254/latest/meta-data/',
		'http://[::1]:1/',
		'http://[fe80::1]/',
		'file:///etc/passwd',
		'ftp://example.com/',
	]) {
		for (const hops of [2, 3]) {
			test(`never lead to ${location} as hop ${hops}`, async (t) => {
				const storage = await startStorage(t);
				const path = Array.from({ length: hops - 1 }).reduce<string>((to) => `/to/${encodeURIComponent(to)}`, location);
				const { status, log } = await pullRedirected(t, storage.url + path, { FOLLOW_REDIRECTS: 'http', ...LOOPBACK });
				assert.equal(status, 502);
				assert.match(log.join(''), /which is not allowed/);
				assert.equal(storage.requests.length, hops - 1);
			});
		}
	}
});
