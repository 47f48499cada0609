import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, assertError, forgetRequests, seen, setUp } from '../../support/setup.ts';

/* Which names lead somewhere. What they lead to is in resolution/resolver.test.ts, and with a token in service/client-tokens.test.ts. */

test('what is no reference', async (t) => {
	const setup = await setUp(t);
	for (const name of ['alone', 'a/b/c/d/e', 'acme/pinned/1.0.0/main/more', 'v2/short', 'v2/pinned/1.0.0', `v2/${'a'.repeat(70)}`]) {
		await t.test(name, async () => {
			forgetRequests(setup);
			assert.match(
				assertError(await ask(setup.proxy, `/v2/${name}/manifests/latest`, { token: 'a.b.c' }), 400, 'NAME_INVALID'),
				/<org>\/<fleet>/,
			);
			assert.deepEqual(
				seen(setup.api, ({ url }) => !url.startsWith('/ping')),
				[],
			);
		});
	}
	for (const name of [
		'Acme/pinned',
		'acme/pinned/2.3.8+rev1',
		'acme//pinned',
		'acme/pinned_',
		'acme/a___b',
		'acme/1..0',
		`acme/${'a'.repeat(255)}`,
	]) {
		await t.test(`${name.slice(0, 40)} is no repository name at all`, async () => {
			assertError(await ask(setup.proxy, `/v2/${name}/manifests/latest`, { token: 'a.b.c' }), 400, 'NAME_INVALID');
		});
	}
});
