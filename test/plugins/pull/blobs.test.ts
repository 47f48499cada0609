import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { basic } from '../../support/proxy.ts';
import { ask, assertError, CACHE_MODES, faultAt, forgetRequests, setUp, tokenFor, upstreamPart } from '../../support/setup.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { BLOB, download, LAYER, NAME, path, SAMPLE } from './sample-blob.ts';

/* `/v2/<name>/blobs/<digest>`: never kept, and never changed. */

const upstream = await sharedUpstream();
const { repository, platforms } = SAMPLE;
const { configDigest } = platforms[0]!;

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	test(`a blob comes whole; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const { proxy, registry } = setup;
		const token = await tokenFor(proxy, NAME);
		for (const digest of [configDigest, LAYER.digest]) {
			await t.test(`GET and HEAD ${digest.slice(0, 15)}`, async () => {
				forgetRequests(setup);
				const { status, headers, bytes } = await download(setup, token, digest);
				assert.equal(status, 200);
				assert.equal(`sha256:${createHash('sha256').update(bytes).digest('hex')}`, digest);
				assert.equal(headers['content-length'], String(bytes.length));
				assert.equal(headers['docker-content-digest'], digest);
				const head = await ask(proxy, path(digest), { method: 'HEAD', token });
				assert.deepEqual([head.status, head.text], [200, '']);
				for (const header of ['content-length', 'content-type', 'docker-content-digest', 'accept-ranges']) {
					assert.equal(head.headers[header], headers[header], header);
				}
				assert.deepEqual(
					registry.requests.map(({ method, url }) => `${method} ${url}`),
					['GET', 'HEAD'].map((method) => `${method} /v2/${repository}/blobs/${digest}`),
				);
				assert.deepEqual(
					registry.requests.map(({ headers }) => headers.authorization),
					[`Bearer ${upstreamPart(token)}`, `Bearer ${upstreamPart(token)}`],
				);
			});
		}
		await t.test('with an escaped colon', async () =>
			assert.equal((await download(setup, token, LAYER.digest.replace(':', '%3A'))).bytes.length, LAYER.size),
		);
		await t.test('of a private fleet', async () => {
			const secret = imageOf(upstream, 'acme/secret').platforms[0]!.configDigest;
			const question = { token: await tokenFor(proxy, 'acme/secret', basic(upstream.keys.owner)) };
			assert.equal((await ask(proxy, path(secret, 'acme/secret'), question)).status, 200);
			assertError(await ask(proxy, path(secret, 'acme/secret'), { token: await tokenFor(proxy, 'acme/secret') }), 404, 'NAME_UNKNOWN');
		});
		await t.test('one that is not there', async () => {
			const digest = `sha256:${'0'.repeat(64)}`;
			const message = assertError(await ask(proxy, path(digest), { token }), 404, 'BLOB_UNKNOWN');
			assert.equal(
				message,
				`no release of ${NAME} has ${digest}, or only an old one; a pin that lasts names the release, as in ${NAME}/<release>@sha256:...`,
			);
			assert.equal((await ask(proxy, path(digest), { token, method: 'HEAD' })).status, 404);
		});
	});
}

test('parts of a blob', async (t) => {
	const setup = await setUp(t);
	const token = await tokenFor(setup.proxy, NAME);
	const whole = (await download(setup, token, LAYER.digest)).bytes;
	const size = whole.length;
	const rows: Record<string, [from: number, to: number] | 416> = {
		'bytes=0-9': [0, 9],
		'bytes=100-': [100, size - 1],
		'bytes=-10': [size - 10, size - 1],
		[`bytes=5-${size * 2}`]: [5, size - 1],
		[`bytes=${size}-`]: 416,
		[`bytes=${size + 10}-${size + 20}`]: 416,
	};
	for (const [range, expected] of Object.entries(rows)) {
		await t.test(range, async () => {
			const { status, headers, bytes } = await download(setup, token, LAYER.digest, { range });
			assert.equal(setup.registry.requests.at(-1)!.headers.range, range);
			if (expected === 416) {
				assert.equal(status, 416);
				assert.equal(headers['content-range'], `bytes */${size}`);
				return;
			}
			const [from, to] = expected;
			assert.equal(status, 206);
			assert.equal(headers['content-range'], `bytes ${from}-${to}/${size}`);
			assert.ok(bytes.equals(whole.subarray(from, to + 1)));
		});
	}
	await t.test('several at once go to the registry as they are', async () => {
		await download(setup, token, LAYER.digest, { range: 'bytes=0-1,5-6', 'if-range': `"${LAYER.digest}"` });
		const { headers } = setup.registry.requests.at(-1)!;
		assert.deepEqual([headers.range, headers['if-range']], ['bytes=0-1,5-6', `"${LAYER.digest}"`]);
	});
	await t.test('a 416 whose body is not for clients', async () => {
		setup.registry.fault = faultAt(BLOB, {
			status: 416,
			headers: { 'content-range': 'bytes */7', 'content-type': 'text/html' },
			body: '<h1>inner.example</h1>',
		});
		const answer = await ask(setup.proxy, path(LAYER.digest), { token, headers: { range: 'bytes=9-' } });
		assertError(answer, 416, 'UNSUPPORTED');
		assert.equal(answer.headers['content-range'], 'bytes */7');
	});
});

test('bytes are not touched', async (t) => {
	const setup = await setUp(t);
	const { proxy, registry } = setup;
	const token = await tokenFor(proxy, NAME);
	const headers = {
		'content-encoding': 'gzip',
		'content-type': 'application/x-thing',
		'content-length': '9',
		etag: '"e"',
		'cache-control': 'max-age=1',
		'last-modified': 'Thu, 01 Jan 1970 00:00:00 GMT',
	};
	await t.test('an encoding is neither undone nor forgotten', async () => {
		registry.fault = faultAt(BLOB, { status: 200, headers, body: 'not gzip!' });
		const answer = await ask(proxy, path(LAYER.digest), { token, headers: { 'accept-encoding': 'zstd, gzip, deflate' } });
		assert.equal(answer.text, 'not gzip!');
		for (const [name, value] of Object.entries(headers)) {
			assert.equal(answer.headers[name], name === 'cache-control' ? `private, ${value}` : value);
		}
		assert.equal(registry.requests.at(-1)!.headers['accept-encoding'], 'zstd, gzip, deflate');
	});
	await t.test('what only the registry and the proxy have to say to each other stays between them', async () => {
		const own = {
			'set-cookie': 'a=b',
			'strict-transport-security': 'max-age=1',
			'keep-alive': 'timeout=99',
			'www-authenticate': 'Basic realm="x"',
			'proxy-authenticate': 'Basic',
			'x-request-id': 'theirs',
		};
		registry.fault = faultAt(BLOB, { status: 200, headers: { ...headers, ...own }, body: 'not gzip!' });
		const answer = await ask(proxy, path(LAYER.digest), { token });
		assert.equal(answer.status, 200);
		for (const [name, value] of Object.entries(own)) {
			assert.notDeepEqual(answer.headers[name], value, name);
			assert.notDeepEqual(answer.headers[name], [value], name);
		}
	});
	await t.test('"not modified" is passed on', async () => {
		registry.fault = () => undefined;
		const answer = await ask(proxy, path(LAYER.digest), { token, headers: { 'if-none-match': `"${LAYER.digest}"` } });
		assert.equal(registry.requests.at(-1)!.headers['if-none-match'], `"${LAYER.digest}"`);
		// The embedded registry does not know the condition.
		assert.ok(upstream.registry === 'embedded' || answer.status === 304, String(answer.status));
	});
});
