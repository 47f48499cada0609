import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { basic, startProxy } from '../../support/proxy.ts';
import { assertError, CACHE_MODES, forgetRequests, seen, setUp, tokenFor } from '../../support/setup.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { imagePaths } from './image-paths.ts';
import { display, gauge, gaugeArm, get, IN_1_1, NOWHERE, veiled, type Image } from './sample-blocks.ts';

/* What a block gives by digest: all that its index leads to, whichever replica made it, and nothing else. */

const upstream = await sharedUpstream();
const owner = basic(upstream.keys.owner);

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	describe(`what the index of a block leads to; ${mode}`, () => {
		test('all that a pull asks for by digest, each from a replica that never saw the index', async (t) => {
			const first = await setUp(t, env);
			for (const [name, images, authorization] of [
				['acme/display', [display('amd64', '1.1.0'), display('aarch64', '1.1.0'), display('armv7hf', '1.0.0')]],
				['acme/display/1.0.0', [display('amd64', '1.0.0'), display('armv7hf', '1.0.0')]],
				['acme/gauge', [gauge, gaugeArm]],
				['acme/veiled', [veiled('amd64'), veiled('aarch64')], owner],
			] as [string, Image[], string?][]) {
				const secret = { TOKEN_SECRET: 'correct-horse-battery-staple-correct-horse' };
				const token = await tokenFor(first.proxy, name, authorization);
				const index = await get(first, name, 'manifests/latest', token);
				const paths = images.flatMap(imagePaths);
				for (const path of [`manifests/${String(index.headers['docker-content-digest'])}`, ...paths]) {
					const proxy = await startProxy(t, upstream, { ...env, ...secret });
					const answer = await get({ proxy }, name, path, token);
					assert.equal(answer.status, 200, `${name} ${path}: ${answer.text}`);
					assert.ok(path.endsWith(String(answer.headers['docker-content-digest'])));
				}
			}
		});

		test('the index of a release that a tag names, by its digest from a replica that never saw it', async (t) => {
			const secret = { TOKEN_SECRET: 'correct-horse-battery-staple-correct-horse' };
			for (const [name, tag, authorization] of [
				['acme/display', '1.0.0'],
				['acme/veiled', '1.0.0', owner],
			] as [string, string, string?][]) {
				const proxies = [await startProxy(t, upstream, { ...env, ...secret }), await startProxy(t, upstream, { ...env, ...secret })];
				const token = await tokenFor(proxies[0]!, name, authorization);
				const index = await get({ proxy: proxies[0]! }, name, `manifests/${tag}`, token);
				assert.equal(index.status, 200, index.text);
				const again = await get({ proxy: proxies[1]! }, name, `manifests/${String(index.headers['docker-content-digest'])}`, token);
				assert.deepEqual([again.status, again.text], [200, index.text]);
				const nowhere = await get({ proxy: proxies[1]! }, name, `manifests/${NOWHERE}`, token);
				assertError(nowhere, 404, 'MANIFEST_UNKNOWN');
			}
		});
	});
}

test('a pin that is no longer current, and a digest that is nowhere: what lasts', async (t) => {
	const setup = await setUp(t);
	for (const name of ['acme/display', 'acme/display/1.1.0']) {
		const token = await tokenFor(setup.proxy, name);
		const message = assertError(await get(setup, name, `manifests/${NOWHERE}`, token), 404, 'MANIFEST_UNKNOWN');
		const pins = [...message.matchAll(/(acme\/display-\w+\/[\d.]+)@(sha256:\w{64})/g)];
		assert.equal(pins.length, name === 'acme/display' ? 3 : 2, message);
		for (const [, child = '', digest = ''] of pins) {
			assert.equal((await get(setup, child, `manifests/${digest}`, await tokenFor(setup.proxy, child))).status, 200);
		}
		assertError(await get(setup, name, `blobs/${NOWHERE}`, token), 404, 'BLOB_UNKNOWN');
	}
});

test('a digest of an older release, behind a name that moves on, and not behind one that does not', async (t) => {
	const setup = await setUp(t);
	const { digest } = display('amd64', '1.0.0');
	assert.equal((await get(setup, 'acme/display', `manifests/${digest}`, await tokenFor(setup.proxy, 'acme/display'))).status, 200);
	const fixed = await get(setup, 'acme/display/1.1.0', `manifests/${digest}`, await tokenFor(setup.proxy, 'acme/display/1.1.0'));
	assertError(fixed, 404, 'MANIFEST_UNKNOWN');
});

test('made-up digests are searches, of which an address has so many; what is known, and one that was looked for just now, is none', async (t) => {
	// The least that a low limit leaves.
	const SEARCHES = 5;
	const setup = await setUp(t, { RATE_LIMIT_MAX: '200' });
	const name = 'acme/display/1.1.0';
	const token = await tokenFor(setup.proxy, name);
	const madeUp = (i: number): string => `blobs/sha256:${String(i).repeat(64)}`;
	for (let i = 0; i < SEARCHES; i++) {
		forgetRequests(setup);
		assertError(await get(setup, name, madeUp(i), token), 404, 'BLOB_UNKNOWN');
		assertError(await get(setup, name, madeUp(i), token), 404, 'BLOB_UNKNOWN');
		assert.equal(seen(setup.registry, ({ method }) => method === 'HEAD').length, IN_1_1.length);
	}
	assertError(await get(setup, name, madeUp(SEARCHES), token), 429, 'TOOMANYREQUESTS');
	const { configDigest } = display('aarch64', '1.1.0').platforms[0]!;
	assert.equal((await get(setup, name, `blobs/${configDigest}`, token)).status, 200);
});

test('nothing outside the block by digest', async (t) => {
	const setup = await setUp(t);
	for (const name of ['acme/display', 'acme/display/1.0.0']) {
		const token = await tokenFor(setup.proxy, name);
		for (const { digest, platforms } of [imageOf(upstream, 'acme/pinned'), display('rpi', '1.0.0'), veiled('amd64')]) {
			assertError(await get(setup, name, `manifests/${digest}`, token), 404, 'MANIFEST_UNKNOWN');
			assertError(await get(setup, name, `blobs/${platforms[0]!.configDigest}`, token), 404, 'BLOB_UNKNOWN');
		}
	}
});
