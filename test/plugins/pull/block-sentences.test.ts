import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { basic } from '../../support/proxy.ts';
import { assertError, CACHE_MODES, setUp, tokenFor } from '../../support/setup.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { get } from './sample-blocks.ts';

/* What is said of a block that cannot be pulled, and of any where indexes are off. */

const upstream = await sharedUpstream();
const owner = basic(upstream.keys.owner);

const SENTENCES: [reference: string, code: string, sentence: RegExp, authorization?: string][] = [
	['acme/display/9.9.9', 'NAME_UNKNOWN', /^acme\/display has no release 9\.9\.9; its latest is 1\.1\.0$/],
	['acme/display/1.0.1', 'NAME_UNKNOWN', /^acme\/display has no release 1\.0\.1; its latest is 1\.1\.0, and 1\.0\.0 exists$/],
	['acme/several-parts', 'NAME_UNKNOWN', /several services: db, main; pull one of them, as in acme\/several-parts\/latest\/db$/],
	['acme/several-parts/1.0.0/nothing', 'NAME_UNKNOWN', /has no service nothing; it has: db, main/],
	['acme/display/aarch64', 'NAME_UNKNOWN', /^there is no public fleet acme\/display; there are acme\/display-aarch64, /],
	['acme/display:aarch64', 'MANIFEST_UNKNOWN', /^there is no public fleet acme\/display; there are acme\/display-aarch64, /],
	['acme/display-arm64', 'NAME_UNKNOWN', /^there is no public fleet acme\/display-arm64; there are /],
	['acme/veiled', 'NAME_UNKNOWN', /^there is no public fleet acme\/veiled; if it is private, log in first/],
	['acme/veiled/1.0.0', 'NAME_UNKNOWN', /^there is no public fleet acme\/veiled; if it is private, log in first/],
	[
		'acme/veiled',
		'NAME_UNKNOWN',
		/^there is no fleet acme\/veiled that this login may pull from; check the name/,
		basic(upstream.keys.stranger),
	],
];

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	describe(`a block; ${mode}`, () => {
		test('what cannot be pulled, and why', async (t) => {
			const setup = await setUp(t, env);
			for (const [reference, code, sentence, authorization] of SENTENCES) {
				await t.test(reference, async () => {
					const [name, tag = 'latest'] = reference.split(':') as [string, string?];
					const answer = await get(setup, name, `manifests/${tag}`, await tokenFor(setup.proxy, name, authorization));
					assert.match(assertError(answer, 404, code), sentence);
				});
			}
		});
	});
}

test('PLATFORM_INDEX=off: only the sentence', async (t) => {
	const { proxy } = await setUp(t, { PLATFORM_INDEX: 'off' });
	for (const [name, authorization, sentence] of [
		...['acme/display', 'acme/display/latest', 'acme/display/latest/main'].map(
			(name) =>
				[
					name,
					undefined,
					'there is no public fleet acme/display; there are acme/display-aarch64, acme/display-amd64 and acme/display-armv7hf',
				] as const,
		),
		[
			'acme/display',
			owner,
			'there is no fleet acme/display that this login may pull from; there are acme/display-aarch64, acme/display-amd64, acme/display-armv7hf and acme/display-rpi',
		] as const,
	]) {
		const answer = await get({ proxy }, name, 'manifests/latest', await tokenFor(proxy, name, authorization));
		assert.equal(assertError(answer, 404, 'NAME_UNKNOWN'), sentence);
	}
});
