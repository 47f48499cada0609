import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ACCEPT, basic } from '../../support/proxy.ts';
import { assertError, CACHE_MODES, setUp, tokenFor } from '../../support/setup.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import {
	commit,
	display,
	entriesOf,
	gauge,
	gaugeArm,
	get,
	IMAGE,
	IN_1_0,
	IN_1_1,
	NOWHERE,
	OCI,
	TRACKED,
	veiled,
	type Entry,
	type Image,
} from './sample-blocks.ts';

/* The index that a block is: its entries, its form, its bytes, and its lists. */

const upstream = await sharedUpstream();
const owner = basic(upstream.keys.owner);
const DOCKER = 'application/vnd.docker.distribution.manifest.list.v2+json';
const part = (architecture: string, service: string): Image => imageOf(upstream, `acme/several-parts-${architecture}`, '1.0.0', service);
const RPI: Entry = ['linux/arm/v6', display('rpi', '1.0.0')];

const INDEXES: [name: string, entries: Entry[], authorization?: string][] = [
	['acme/display', TRACKED],
	['acme/display/latest', TRACKED],
	['acme/display/1.1.0', IN_1_1],
	['acme/display/v1.1', IN_1_1],
	['acme/display/1.0.0', IN_1_0],
	['acme/display/1.0.0/main', IN_1_0],
	['acme/display/1', [...IN_1_1, IN_1_0[2]!]],
	// Commits differ between the fleets.
	[`acme/display/${commit}`, [IN_1_0[2]!]],
	['acme/display', [...TRACKED, RPI], owner],
	['acme/display/1.0.0', [...IN_1_0, RPI], owner],
	['acme/display/1.1.0', IN_1_1, owner],
	[
		'acme/veiled',
		[
			['linux/amd64', veiled('amd64')],
			['linux/arm64/v8', veiled('aarch64')],
		],
		owner,
	],
	// An index gives its own entries.
	[
		'acme/gauge',
		[
			['linux/amd64', gauge.platforms[0]!],
			['linux/arm64', gauge.platforms[1]!],
			['linux/arm/v7', gaugeArm],
		],
	],
	[
		'acme/several-parts/1.0.0/db',
		[
			['linux/amd64', part('amd64', 'db')],
			['linux/arm64/v8', part('aarch64', 'db')],
		],
	],
];

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	describe(`the index of a block; ${mode}`, () => {
		for (const [name, entries, authorization] of INDEXES) {
			test(`${name}${authorization === undefined ? '' : ', with a key'}`, async (t) => {
				const setup = await setUp(t, env);
				const token = await tokenFor(setup.proxy, name, authorization);
				const index = await get(setup, name, 'manifests/latest', token);
				assert.deepEqual(
					await entriesOf(setup, name, token, index),
					entries.map(([platform, { digest }]) => [platform, digest]),
				);
				const digest = String(index.headers['docker-content-digest']);
				const [again, head, same, changed] = [
					await get(setup, name, `manifests/${digest}`, token),
					await get(setup, name, 'manifests/latest', token, { method: 'HEAD' }),
					await get(setup, name, 'manifests/latest', token, { headers: { 'if-none-match': `"${digest}"` } }),
					await get(setup, name, 'manifests/latest', token, { headers: { 'if-none-match': `"${NOWHERE}"` } }),
				];
				assert.equal(again.text, index.text);
				assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', String(index.text.length)]);
				assert.equal(head.headers['docker-content-digest'], digest);
				assert.deepEqual([same.status, same.text, changed.status], [304, '', 200]);
			});
		}
	});
}

describe('the form of the index', () => {
	const rows: [accept: string, mediaType: string | undefined][] = [
		[ACCEPT, OCI],
		['*/*', OCI],
		[`${DOCKER}, ${IMAGE}`, DOCKER],
		[IMAGE, undefined],
	];
	for (const [accept, mediaType] of rows) {
		test(accept, async (t) => {
			const setup = await setUp(t);
			const token = await tokenFor(setup.proxy, 'acme/display');
			const index = await get(setup, 'acme/display', 'manifests/latest', token, { headers: { accept } });
			if (mediaType === undefined) {
				assert.match(
					assertError(index, 404, 'MANIFEST_UNKNOWN'),
					/^acme\/display is an index, which this client does not take, of acme\/display-amd64, acme\/display-aarch64, acme\/display-armv7hf; pull one/,
				);
				return;
			}
			assert.equal(index.headers['content-type'], mediaType);
			assert.equal((await entriesOf(setup, 'acme/display', token, index)).length, 3);
			const byDigest = await get(setup, 'acme/display', `manifests/${String(index.headers['docker-content-digest'])}`, token, {
				headers: { accept },
			});
			assert.equal(byDigest.text, index.text);
		});
	}
});

test('the same bytes from any replica, for whoever sees the same', async (t) => {
	const setups = [await setUp(t), await setUp(t)];
	const texts = new Set<string>();
	for (const setup of setups) {
		for (const authorization of [undefined, basic(upstream.keys.stranger)]) {
			for (const name of ['acme/display', 'acme/display/latest']) {
				texts.add((await get(setup, name, 'manifests/latest', await tokenFor(setup.proxy, name, authorization))).text);
			}
		}
	}
	assert.equal(texts.size, 1);
});

test('lists: versions of all fleets, referrers of the index and of a child', async (t) => {
	const setup = await setUp(t);
	const tagsOf = async (name: string): Promise<unknown> =>
		(JSON.parse((await get(setup, name, 'tags/list', await tokenFor(setup.proxy, name))).text) as { tags: unknown }).tags;
	assert.deepEqual(await tagsOf('acme/display'), ['1.0.0', '1.1.0']);
	assert.deepEqual(await tagsOf('acme/display/1.0.0'), ['latest']);

	const token = await tokenFor(setup.proxy, 'acme/gauge');
	const index = await get(setup, 'acme/gauge', 'manifests/latest', token);
	const digest = String(index.headers['docker-content-digest']);
	const none = await get(setup, 'acme/gauge', `referrers/${digest}?artifactType=a/b`, token);
	assert.deepEqual([none.status, none.headers['content-type'], none.headers['oci-filters-applied']], [200, OCI, 'artifactType']);
	assert.deepEqual(JSON.parse(none.text), { schemaVersion: 2, mediaType: OCI, manifests: [] });
	const { fallbackTag } = gaugeArm.referrer!;
	const direct = await tokenFor(setup.proxy, 'acme/gauge-armv7hf');
	for (const path of [`referrers/${gaugeArm.digest}`, `manifests/${fallbackTag}`]) {
		const [byBlock, byFleet] = [await get(setup, 'acme/gauge', path, token), await get(setup, 'acme/gauge-armv7hf', path, direct)];
		assert.deepEqual(
			[byBlock.status, byBlock.text.replaceAll('gauge-armv7hf', 'gauge')],
			[byFleet.status, byFleet.text.replaceAll('gauge-armv7hf', 'gauge')],
		);
	}
	assertError(await get(setup, 'acme/gauge', `manifests/${digest.replace(':', '-')}`, token), 404, 'MANIFEST_UNKNOWN');
});
