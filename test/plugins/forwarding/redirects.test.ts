import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imageOf } from '../../upstream/index.ts';
import type { Fault, RecordedRequest } from '../../upstream/relay.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { ask, CACHE_MODES, faultAt, seen, setUp, tokenFor, type Answer, type Setup } from '../../support/setup.ts';
import { until } from '../../support/until.ts';

/* Redirects of blobs: passed on untouched and remembered briefly, by method. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned';
const { configDigest } = imageOf(upstream, NAME).platforms[0]!;
const OTHER = 'acme/pinned/1.0.0';

const blob = (
	{ proxy }: Setup,
	token: string,
	{ method = 'GET', name = NAME, digest = configDigest, headers = {} } = {},
): Promise<Answer> => ask(proxy, `/v2/${name}/blobs/${digest}`, { method, token, headers });
const redirect = (location: string, status = 307): Fault => ({
	status,
	headers: {
		location,
		'content-type': 'application/octet-stream',
		'docker-content-digest': configDigest,
		'docker-distribution-api-version': 'registry/2.0',
	},
});

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	test(`a redirect passes to the client as it is; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const token = await tokenFor(setup.proxy, NAME);
		const locations = [
			'https://bucket.s3.amazonaws.com/data?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb&X-Amz-Expires=1200&X-Amz-Signature=0a%2F',
			'https://d1.cloudfront.net/a//b/../c?Policy=x~&Signature=y_-&Key-Pair-Id=Z',
			'https://storage.example:8443/%7e%2E%2f?q=%20+&empty',
			'http://storage.example',
		];
		const rows = locations.flatMap((location) =>
			[302, 303, 307, 308].flatMap((status) => ['GET', 'HEAD'].map((method) => ({ location, status, method }))),
		);
		for (const [i, { location, status, method }] of rows.entries()) {
			await t.test(`${method} ${status} ${location.slice(0, 40)}`, async () => {
				// A blob of its own, so that nothing is remembered of it.
				const digest = `sha256:${String(i).padStart(64, '0')}`;
				setup.registry.fault = faultAt(/\/blobs\//, redirect(location, status));
				// The second may come from memory.
				for (const answer of [await blob(setup, token, { method, digest }), await blob(setup, token, { method, digest })]) {
					assert.equal(answer.status, status);
					assert.equal(answer.headers['location'], location);
					assert.ok(!JSON.stringify(answer).includes(token.slice(0, 40)));
				}
			});
		}
	});

	test(`a redirect without a scheme has the registry’s, each time; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const token = await tokenFor(setup.proxy, NAME);
		setup.registry.fault = faultAt(/\/blobs\//, redirect('//storage.example/x'));
		for (const answer of [await blob(setup, token), await blob(setup, token)]) {
			assert.deepEqual([answer.status, answer.headers['location']], [307, 'http://storage.example/x']);
		}
	});

	test(`a redirect to the registry itself leads back to the proxy, where it serves the same; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const { proxy, registry } = setup;
		const token = await tokenFor(proxy, NAME);
		const { repository, platforms } = imageOf(upstream, NAME);
		const path = `/v2/${repository}/blobs/${platforms[0]!.layers[0]!.digest}`;
		const rows: Record<string, string> = {
			'by its URL': `${registry.url}${path}`,
			'under another scheme': `https://${new URL(registry.url).host}${path}`,
			'under a relative path': path,
			'from beside': `./${platforms[0]!.layers[0]!.digest}`,
		};
		for (const [name, location] of Object.entries(rows)) {
			await t.test(name, async () => {
				registry.fault = faultAt(/\/blobs\//, redirect(location));
				for (const answer of [await blob(setup, token), await blob(setup, token)]) {
					assert.deepEqual([answer.status, answer.headers['location']], [307, `${proxy.url}${path}`]);
				}
				// As each client sees the proxy, also where the redirect was remembered.
				const other = await blob(setup, token, { headers: { host: 'other.example' } });
				assert.equal(other.headers['location'], `http://other.example${path}`);
			});
		}
	});

	test(`a redirect to anything else of the registry's is fetched on the client's behalf; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const { proxy, registry } = setup;
		const token = await tokenFor(proxy, NAME);
		const { repository } = imageOf(upstream, NAME);
		const own = `/v2/${repository}/blobs/${configDigest}`;
		const stored = { status: 200, headers: { 'x-amz-id': '1' }, body: '0123456789' };
		const rows: Record<string, { location: string; answers: Record<string, Fault>; expected: [number, string?]; tokenAt?: string }> = {
			'its storage, without the token': {
				location: '/storage/a?sig=%2F',
				answers: { '/storage/a?sig=%2F': stored },
				expected: [200, '0123456789'],
			},
			'the same blob with a query, with the token': {
				location: `${own}?state=1`,
				answers: { [`${own}?state=1`]: stored },
				expected: [200, '0123456789'],
				tokenAt: `${own}?state=1`,
			},
			'one that leads elsewhere in the end': {
				location: '/storage/a',
				answers: { '/storage/a': { status: 302, headers: { location: 'https://storage.example/x' } } },
				expected: [302, ''],
			},
			'the same again, for ever': { location: `https://${new URL(registry.url).host}${own}`, answers: {}, expected: [502] },
			'one that refuses': { location: '/storage/a', answers: { '/storage/a': { status: 404 } }, expected: [404] },
			'one that fails': { location: '/storage/a', answers: { '/storage/a': { status: 500 } }, expected: [502] },
			'one that is no path': { location: '/storage/a b%', answers: { '/storage/a%20b%': { status: 400 } }, expected: [502] },
		};
		for (const [name, { location, answers, expected, tokenAt }] of Object.entries(rows)) {
			for (const method of ['GET', 'HEAD']) {
				await t.test(`${method} ${name}`, async () => {
					registry.requests = [];
					registry.fault = ({ url }) => answers[url] ?? (url === own ? redirect(location) : undefined);
					const answer = await blob(setup, token, { method });
					assert.equal(answer.status, expected[0], answer.text);
					if (expected[1] !== undefined) {
						assert.equal(answer.text, method === 'GET' ? expected[1] : '');
					}
					assert.equal(answer.headers['x-amz-id'], undefined);
					for (const { url, headers } of registry.requests) {
						assert.equal(headers.authorization !== undefined, url === own || url === tokenAt, url);
					}
				});
			}
		}
	});
}

test('for whom and how often the registry is asked for a redirect', async (t) => {
	const setup = await setUp(t);
	const { proxy, registry } = setup;
	const token = await tokenFor(proxy, [NAME, OTHER]);
	// As an object store signs: for one method and one object.
	registry.fault = ({ method, url }: RecordedRequest): Fault =>
		url.includes('/blobs/') ? redirect(`https://storage.example${url}?method=${method}`) : undefined;
	const other = imageOf(upstream, 'acme/pinned', '1.0.0').platforms[0]!;
	const rows: [what: string, question: Parameters<typeof blob>[2], asked: number][] = [
		['first', {}, 1],
		['again', {}, 0],
		['a part', { headers: { range: 'bytes=5-' } }, 0],
		['by HEAD', { method: 'HEAD' }, 1],
		['by HEAD again', { method: 'HEAD' }, 0],
		['another digest', { digest: imageOf(upstream, NAME).platforms[0]!.layers[0]!.digest }, 1],
		['another repository', { name: OTHER, digest: other.configDigest }, 1],
		['that again', { name: OTHER, digest: other.configDigest }, 0],
		['the first digest there', { name: OTHER }, 1],
	];
	for (const [what, question, asked] of rows) {
		await t.test(what, async () => {
			registry.requests = [];
			const answer = await blob(setup, token, question);
			const { repository } = imageOf(upstream, NAME, question?.name === OTHER ? '1.0.0' : '1.1.0');
			assert.equal(
				answer.headers['location'],
				`https://storage.example/v2/${repository}/blobs/${question?.digest ?? configDigest}?method=${question?.method ?? 'GET'}`,
			);
			assert.equal(seen(registry).length, asked);
		});
	}
});

test('for how long a redirect is remembered', async (t) => {
	const basicIso = (ms: number): string => new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '');
	const past = Date.now() - 1000;
	const never: Record<string, string> = {
		'has expired (AWS)': `https://storage.example/?X-Amz-Date=${basicIso(past - 60_000)}&X-Amz-Expires=60`,
		'has expired (Google)': `https://storage.example/?X-Goog-Date=${basicIso(past - 60_000)}&X-Goog-Expires=60`,
		'has expired (CloudFront)': `https://storage.example/?Expires=${Math.floor(past / 1000)}&Signature=x`,
		'has expired (Azure)': `https://storage.example/?se=${encodeURIComponent(new Date(past).toISOString())}&sig=x`,
		'has expired, and has no scheme': `//storage.example/?Expires=${Math.floor(past / 1000)}&Signature=x`,
		'is longer than any': `https://storage.example/${'x'.repeat(5000)}`,
	};
	for (const [what, location] of Object.entries(never)) {
		await t.test(`not at all where it ${what}`, async (t) => {
			const setup = await setUp(t);
			const token = await tokenFor(setup.proxy, NAME);
			setup.registry.fault = faultAt(/\/blobs\//, redirect(location));
			for (let i = 0; i < 3; i++) {
				setup.registry.requests = [];
				assert.equal((await blob(setup, token)).headers['location'], location.replace(/^\/\//, 'http://'));
				assert.equal(seen(setup.registry, ({ url }) => url.includes('/blobs/')).length, 1);
			}
		});
	}
	await t.test('never beyond half of its URL’s life', async (t) => {
		const setup = await setUp(t);
		const token = await tokenFor(setup.proxy, NAME);
		const end = Date.now() + 600;
		setup.registry.fault = faultAt(/\/blobs\//, redirect(`https://storage.example/?se=${encodeURIComponent(new Date(end).toISOString())}`));
		await blob(setup, token);
		const received = Date.now();
		// It has at the least half of its life left, whenever it is repeated.
		await until(async () => {
			setup.registry.requests = [];
			const asked = Date.now();
			await blob(setup, token);
			const isRepeated = setup.registry.requests.length === 0;
			assert.ok(!isRepeated || asked <= (received + end) / 2 + 1, `${asked - received} of ${end - received} ms`);
			return !isRepeated;
		});
	});
	for (const status of [301, 300]) {
		await t.test(`not at all as ${status}, which is not what registries send`, async (t) => {
			const setup = await setUp(t);
			const token = await tokenFor(setup.proxy, NAME);
			setup.registry.fault = faultAt(/\/blobs\//, redirect('https://storage.example/', status));
			await blob(setup, token);
			setup.registry.requests = [];
			await blob(setup, token);
			assert.equal(seen(setup.registry).length, 1);
		});
	}
});
