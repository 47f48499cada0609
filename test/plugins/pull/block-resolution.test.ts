import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { odata } from '../../support/release-answer.ts';
import { CACHES_OFF, forgetRequests, seen, setUp, tokenFor, type Setup } from '../../support/setup.ts';
import { imageOf, type ImageSummary } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { display, get, IN_1_1 } from './sample-blocks.ts';

/* What is asked to find out that a name is a block’s: which fleets, and at what cost. */

const upstream = await sharedUpstream();

test('a fleet of the plain name that is made while the index is in use wins at the next resolution; what was issued goes on', async (t) => {
	const setup = await setUp(t, CACHES_OFF);
	const old = await tokenFor(setup.proxy, 'acme/display');
	const index = await get(setup, 'acme/display', 'manifests/latest', old);
	const made = imageOf(upstream, 'acme/pinned');
	const row = {
		id: 1,
		commit: 'c0ffee'.padEnd(32, '0'),
		raw_version: '1.0.0',
		status: 'success',
		release_image: [
			{
				image: [
					{
						is_stored_at__image_location: `registry/${made.repository}`,
						content_hash: made.digest,
						is_a_build_of__service: [{ service_name: 'main' }],
					},
				],
			},
		],
	};
	setup.api.fault = ({ url }) =>
		/^\/v7\/release/.test(url) && decodeURIComponent(url).includes("'acme/display'") ? odata([row]) : undefined;
	const token = await tokenFor(setup.proxy, 'acme/display');
	const image = await get(setup, 'acme/display', 'manifests/latest', token);
	assert.deepEqual([image.status, image.headers['docker-content-digest']], [200, made.digest]);
	assert.equal((await get(setup, 'acme/display', 'manifests/latest', old)).text, index.text);
	assert.equal((await get(setup, 'acme/display', `manifests/${IN_1_1[0]![1].digest}`, old)).status, 200);
});

test('a private sibling is in no query', async (t) => {
	const setup = await setUp(t, CACHES_OFF);
	await get(setup, 'acme/display/1.0.0', 'manifests/latest', await tokenFor(setup.proxy, 'acme/display/1.0.0'));
	const queries = seen(setup.api, ({ url }) => url.startsWith('/v7/')).map((line) => decodeURIComponent(line));
	assert.equal(queries.length, 3);
	assert.ok(queries[2]!.includes('display-armv7hf') && !queries[2]!.includes('display-rpi'), queries[2]!);
});

/** What a pull by tag and digests costs the upstreams. */
async function costOf(
	setup: Setup,
	name: string,
	{ digest, platforms }: ImageSummary,
): Promise<{ queries: number; tokens: number; registry: number }> {
	forgetRequests(setup);
	const token = await tokenFor(setup.proxy, name);
	const top = await get(setup, name, 'manifests/latest', token);
	const { configDigest, layers } = platforms[0]!;
	for (const path of [
		`manifests/${String(top.headers['docker-content-digest'])}`,
		`manifests/${digest}`,
		`blobs/${configDigest}`,
		`blobs/${layers[0]!.digest}`,
	]) {
		assert.equal((await get(setup, name, path, token)).status, 200, path);
	}
	return {
		queries: seen(setup.api, ({ url }) => url.startsWith('/v7/')).length,
		tokens: seen(setup.api, ({ url }) => url.startsWith('/auth/')).length,
		registry: seen(setup.registry, ({ url }) => url !== '/v2/').length,
	};
}

test('what a first and a second pull cost: of a fleet, nothing more for there being blocks', async (t: TestContext) => {
	const image = display('amd64', '1.1.0');
	const rows: [name: string, first: object, second: object][] = [
		['acme/display-amd64', { queries: 1, tokens: 1, registry: 3 }, { queries: 0, tokens: 0, registry: 2 }],
		['acme/display-amd64/1.1.0', { queries: 1, tokens: 1, registry: 3 }, { queries: 0, tokens: 0, registry: 2 }],
		// Three manifests and two blobs.
		['acme/display', { queries: 3, tokens: 1, registry: 5 }, { queries: 0, tokens: 0, registry: 2 }],
		['acme/display/1.1.0', { queries: 3, tokens: 1, registry: 4 }, { queries: 0, tokens: 0, registry: 2 }],
	];
	for (const [name, first, second] of rows) {
		const setup = await setUp(t);
		assert.deepEqual(await costOf(setup, name, image), first, name);
		assert.deepEqual(await costOf(setup, name, image), second, name);
	}
});
