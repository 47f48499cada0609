import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { basic } from '../../support/proxy.ts';
import { assertError, CACHE_MODES, setUp, tokenFor } from '../../support/setup.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { commit, entriesOf, get, IN_1_0, IN_1_1, TRACKED, type Entry } from './sample-blocks.ts';

/* What a tag behind the bare name of a block means, by what TAGS says. */

const upstream = await sharedUpstream();
const owner = basic(upstream.keys.owner);

describe('tags behind a bare block', () => {
	type Meaning = Entry[] | [entries: Entry[], warning: string] | [status: number];
	const warned = 'the tag foo names no release of acme/display and is ignored';
	const rows: [tag: string, lenient: Meaning, strict: Meaning, ignore: Meaning][] = [
		['latest', TRACKED, TRACKED, TRACKED],
		['1.0.0', IN_1_0, IN_1_0, TRACKED],
		['v1.1', IN_1_1, IN_1_1, TRACKED],
		[commit, [IN_1_0[2]!], [IN_1_0[2]!], TRACKED],
		['foo', [TRACKED, warned], [404], TRACKED],
		['9.9.9', [TRACKED, warned.replace('foo', '9.9.9')], [404], TRACKED],
	];
	for (const [i, tags] of ['lenient', 'strict', 'ignore'].entries()) {
		for (const [mode, env] of Object.entries(CACHE_MODES)) {
			test(`TAGS=${tags}; ${mode}`, async (t) => {
				const setup = await setUp(t, { ...env, TAGS: tags });
				for (const [tag, ...meanings] of rows) {
					await t.test(tag, async () => {
						const meaning = meanings[i]!;
						const token = await tokenFor(setup.proxy, 'acme/display');
						const index = await get(setup, 'acme/display', `manifests/${tag}`, token);
						if (typeof meaning[0] === 'number') {
							assertError(index, 404, 'MANIFEST_UNKNOWN');
							return;
						}
						const [entries, warning] = (typeof meaning[1] === 'string' ? meaning : [meaning]) as [Entry[], string?];
						assert.equal(index.headers['warning'], warning === undefined ? undefined : `299 - "${warning}"`);
						assert.deepEqual(
							await entriesOf(setup, 'acme/display', token, index),
							entries.map(([platform, { digest }]) => [platform, digest]),
						);
						// As clients ask for it that resolve a tag first.
						const byDigest = await get(setup, 'acme/display', `manifests/${String(index.headers['docker-content-digest'])}`, token);
						assert.equal(byDigest.text, index.text);
						for (const [, { digest }] of entries) {
							const [image] = Object.values(upstream.fleets)
								.flatMap(({ releases }) => Object.values(releases))
								.flatMap(({ images }) => Object.values(images))
								.filter(({ summary }) => summary?.digest === digest);
							const { configDigest, layers } = image!.summary!.platforms[0]!;
							for (const blob of [configDigest, ...layers.map((layer) => layer.digest)]) {
								assert.equal((await get(setup, 'acme/display', `blobs/${blob}`, token)).status, 200);
							}
						}
					});
				}
			});
		}
	}

	test('of a private block, by a holder of a key', async (t) => {
		const setup = await setUp(t);
		const token = await tokenFor(setup.proxy, 'acme/veiled', owner);
		const index = await get(setup, 'acme/veiled', 'manifests/1.0.0', token);
		assert.equal((await entriesOf(setup, 'acme/veiled', token, index)).length, 2);
	});
});
