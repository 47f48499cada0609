import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT, basic } from '../../support/proxy.ts';
import {
	ask,
	assertError,
	CACHE_MODES,
	faultAt,
	forgetRequests,
	seen,
	setUp,
	tokenFor,
	type Answer,
	type Setup,
} from '../../support/setup.ts';
import { imageOf, type ImageSummary } from '../../upstream/index.ts';
import { changeFleet } from '../../upstream/control.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { imagePaths } from './image-paths.ts';

/* What a tag and a digest mean behind a name that can come to mean another release: docs/tags.md. */

const upstream = await sharedUpstream();
const owner = basic(upstream.keys.owner);
const BROWSER = 'balenalabs/browser-aarch64';
const [browser, revised] = [imageOf(upstream, BROWSER), imageOf(upstream, BROWSER, '2.3.8+rev2')];
const secret = imageOf(upstream, 'acme/secret');
const NOWHERE = `sha256:${'0'.repeat(64)}`;

const get = ({ proxy }: Pick<Setup, 'proxy'>, name: string, path: string, token: string): Promise<Answer> =>
	ask(proxy, `/v2/${name}/${path}`, { token, headers: { accept: ACCEPT } });

/** An image with the warning that comes with it, or the code of an error. */
type Meaning = ImageSummary | [image: ImageSummary, warning: string] | [status: number, code: string];
const warned = (tag: string, slug: string, version: string): string =>
	`299 - "the tag ${tag} names no release of ${slug} and is ignored: this is ${version}"`;

const TAGS: [reference: string, lenient: Meaning, strict: Meaning, ignore: Meaning][] = [
	[`${BROWSER}:latest`, browser, browser, browser],
	[`${BROWSER}:pinned`, browser, browser, browser],
	[`${BROWSER}:2.4.0`, browser, browser, browser],
	[`${BROWSER}:2.3.8`, revised, revised, browser],
	[`${BROWSER}:v2.3`, revised, revised, browser],
	[`${BROWSER}:2.3.8-rev2`, revised, revised, browser],
	[
		`${BROWSER}:2.4.1-1648554962021`,
		imageOf(upstream, BROWSER, '2.4.1-1648554962021'),
		imageOf(upstream, BROWSER, '2.4.1-1648554962021'),
		browser,
	],
	[`${BROWSER}:foo`, [browser, warned('foo', BROWSER, '2.4.0')], [404, 'MANIFEST_UNKNOWN'], browser],
	[`${BROWSER}:9.9.9`, [browser, warned('9.9.9', BROWSER, '2.4.0')], [404, 'MANIFEST_UNKNOWN'], browser],
	[`${BROWSER}:deadbeef`, [browser, warned('deadbeef', BROWSER, '2.4.0')], [404, 'MANIFEST_UNKNOWN'], browser],
	// Names that are taken: another image in their place would be wrong.
	[`${BROWSER}:2.5.0`, [404, 'MANIFEST_UNKNOWN'], [404, 'MANIFEST_UNKNOWN'], browser],
	[`${BROWSER}:2.4.1`, [404, 'MANIFEST_UNKNOWN'], [404, 'MANIFEST_UNKNOWN'], browser],
	[`${BROWSER}:c0ffee1`, [404, 'MANIFEST_UNKNOWN'], [404, 'MANIFEST_UNKNOWN'], browser],
	['acme/several:1.0.0', [404, 'MANIFEST_UNKNOWN'], [404, 'MANIFEST_UNKNOWN'], [404, 'NAME_UNKNOWN']],
	['acme/several:foo', [404, 'NAME_UNKNOWN'], [404, 'MANIFEST_UNKNOWN'], [404, 'NAME_UNKNOWN']],
	// The name says already which release it is.
	[`${BROWSER}/2.3.8:2.4.0`, revised, revised, revised],
	[`${BROWSER}/latest:2.3.8`, browser, browser, browser],
	[`${BROWSER}/2:foo`, browser, browser, browser],
	['acme/secret:1.0.0', imageOf(upstream, 'acme/secret', '1.0.0'), imageOf(upstream, 'acme/secret', '1.0.0'), secret],
	['acme/secret:foo', [secret, warned('foo', 'acme/secret', '1.1.0')], [404, 'MANIFEST_UNKNOWN'], secret],
];

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	for (const [i, tags] of ['lenient', 'strict', 'ignore'].entries()) {
		test(`tags with TAGS=${tags}; ${mode}`, async (t) => {
			const setup = await setUp(t, { ...env, TAGS: tags });
			for (const [reference, ...meanings] of TAGS) {
				await t.test(reference, async () => {
					const [name, tag] = reference.split(':') as [string, string];
					const token = await tokenFor(setup.proxy, name, name === 'acme/secret' ? owner : undefined);
					const answer = await get(setup, name, `manifests/${tag}`, token);
					const meaning = meanings[i]!;
					if (Array.isArray(meaning) && typeof meaning[0] === 'number') {
						assertError(answer, meaning[0], meaning[1]);
						return;
					}
					const [image, warning] = (Array.isArray(meaning) ? meaning : [meaning]) as [ImageSummary, string?];
					assert.equal(answer.status, 200, answer.text);
					assert.equal(answer.headers['docker-content-digest'], image.digest);
					assert.equal(answer.headers['warning'], warning);
				});
			}
		});

		test(`digests with TAGS=${tags}; ${mode}`, async (t) => {
			const setup = await setUp(t, { ...env, TAGS: tags });
			const rows: [name: string, image: ImageSummary, authorization?: string][] = [
				[BROWSER, browser],
				[BROWSER, revised],
				[`${BROWSER}/latest`, revised],
				[`${BROWSER}/2`, imageOf(upstream, BROWSER, '1.10.0')],
				[`${BROWSER}/2.3`, browser],
				// It has revisions, of which the name means the last.
				[`${BROWSER}/2.3.8`, imageOf(upstream, BROWSER, '2.3.8')],
				['acme/several', imageOf(upstream, 'acme/several', '1.0.0', 'db')],
				['acme/multi-arch', imageOf(upstream, 'acme/multi-arch', '1.0.0')],
				['acme/secret', imageOf(upstream, 'acme/secret', '1.0.0'), owner],
				['acme/secret/latest', imageOf(upstream, 'acme/secret', '1.0.0'), owner],
			];
			for (const [name, image, authorization] of rows) {
				await t.test(`${name}@${image.digest.slice(0, 15)}`, async () => {
					const token = await tokenFor(setup.proxy, name, authorization);
					for (const path of imagePaths(image)) {
						const answer = await get(setup, name, path, token);
						assert.equal(answer.status, 200, `${path}: ${answer.text}`);
						assert.ok(path.endsWith(String(answer.headers['docker-content-digest'])));
					}
				});
			}
			await t.test('one that is nowhere: how to pin so that it lasts', async () => {
				const token = await tokenFor(setup.proxy, BROWSER);
				for (const [kind, code] of [
					['manifests', 'MANIFEST_UNKNOWN'],
					['blobs', 'BLOB_UNKNOWN'],
				] as const) {
					const message = assertError(await get(setup, BROWSER, `${kind}/${NOWHERE}`, token), 404, code);
					assert.match(message, /a pin that lasts names the release, as in balenalabs\/browser-aarch64\/<release>@sha256:/);
				}
			});
			await t.test('behind a name that does not move, a digest of another release is not looked for', async () => {
				forgetRequests(setup);
				const token = await tokenFor(setup.proxy, `${BROWSER}/2.4.0`);
				assertError(await get(setup, `${BROWSER}/2.4.0`, `manifests/${revised.digest}`, token), 404, 'MANIFEST_UNKNOWN');
				assert.equal(seen(setup.registry).length, 1);
			});
		});
	}
}

test('a pull that outlives its token, and its fleet moves on', async (t) => {
	const slug = 'acme/changing';
	const setup = await setUp(t, { RESOLUTION_TTL: '0', TOKEN_TTL: '0' });
	t.after(() => changeFleet(upstream, slug, { target: '1.0.0' }));
	const old = imageOf(upstream, slug, '1.0.0');
	const first = await get(setup, slug, 'manifests/latest', await tokenFor(setup.proxy, slug));
	assert.equal(first.headers['docker-content-digest'], old.digest);
	await changeFleet(upstream, slug, { target: '1.1.0' });
	const token = await tokenFor(setup.proxy, slug);
	for (const { digest } of old.platforms[0]!.layers) {
		assert.equal((await get(setup, slug, `blobs/${digest}`, token)).status, 200);
	}
	const next = await get(setup, slug, 'manifests/latest', token);
	assert.equal(next.headers['docker-content-digest'], imageOf(upstream, slug, '1.1.0').digest);
});

test('what a pull of the tracked release costs: what one of a release costs', async (t) => {
	const counts: Record<string, unknown[]> = {};
	for (const name of ['acme/pinned', 'acme/pinned/1.1.0']) {
		const setup = await setUp(t);
		const token = await tokenFor(setup.proxy, name);
		const { digest, platforms } = imageOf(upstream, 'acme/pinned');
		for (const path of [
			`manifests/latest`,
			`manifests/${digest}`,
			`blobs/${platforms[0]!.configDigest}`,
			`blobs/${platforms[0]!.layers[0]!.digest}`,
		]) {
			assert.equal((await get(setup, name, path, token)).status, 200);
		}
		counts[name] = [setup.api, setup.registry].map(({ requests }) => requests.map(({ url }) => url.replace(/\?.*/, '')));
	}
	assert.deepEqual(counts['acme/pinned'], counts['acme/pinned/1.1.0']);
	assert.deepEqual(counts['acme/pinned']![0], ['/v7/release', '/auth/v1/token']);
});

for (const [name, tag] of [
	['acme/pinned', '1.0.0'],
	['acme/multi-arch', '1.0.0'],
] as const) {
	for (const first of ['GET', 'HEAD']) {
		test(`nothing of ${name}:${tag} is looked for, once its manifest was served: ${first} by tag, then by digest`, async (t) => {
			const setup = await setUp(t);
			const token = await tokenFor(setup.proxy, name);
			const image = imageOf(upstream, name, tag);
			const ask1 = await ask(setup.proxy, `/v2/${name}/manifests/${tag}`, { token, method: first, headers: { accept: ACCEPT } });
			assert.deepEqual([ask1.status, ask1.headers['docker-content-digest']], [200, image.digest]);
			forgetRequests(setup);
			for (const path of imagePaths(image)) {
				assert.equal((await get(setup, name, path, token)).status, 200, path);
			}
			assert.deepEqual([seen(setup.api), seen(setup.registry, ({ method }) => method === 'HEAD')], [[], []]);
		});
	}
}

test('a search that could not be completed is no "not there"', async (t) => {
	const rows: [what: string, fault: Parameters<typeof faultAt>[1], status: number, retryAfter: string | undefined][] = [
		['503', { status: 503, headers: { 'retry-after': '7' } }, 503, '7'],
		['429', { status: 429, headers: { 'retry-after': '9' } }, 429, '9'],
		['500', { status: 500 }, 502, undefined],
		['reset', 'reset', 502, undefined],
	];
	for (const [what, fault, status, retryAfter] of rows) {
		await t.test(what, async (t) => {
			const setup = await setUp(t);
			const token = await tokenFor(setup.proxy, BROWSER);
			// All but where the token points, so that it is a search.
			setup.registry.fault = (request) =>
				request.url.includes(`/blobs/${NOWHERE}`) && request.method === 'HEAD' ? faultAt(/./, fault)(request) : undefined;
			const answer = await get(setup, BROWSER, `blobs/${NOWHERE}`, token);
			assert.equal(answer.status, status, answer.text);
			assert.equal(answer.headers['retry-after'], retryAfter);
			setup.registry.fault = () => undefined;
			assertError(await get(setup, BROWSER, `blobs/${NOWHERE}`, token), 404, 'BLOB_UNKNOWN');
		});
	}
});
