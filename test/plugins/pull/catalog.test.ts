import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, assertError, setUp, tokenFor } from '../../support/setup.ts';

/* `_catalog`, which tells nothing. */

test('the catalog is empty, with a token', async (t) => {
	const { proxy } = await setUp(t);
	const token = await tokenFor(proxy, []);
	for (const query of ['', '?n=10', '?n=10&last=x']) {
		const answer = await ask(proxy, `/v2/_catalog${query}`, { token });
		assert.equal(answer.status, 200);
		assert.deepEqual(JSON.parse(answer.text), { repositories: [] });
	}
	assertError(await ask(proxy, '/v2/_catalog?n=x', { token }), 400, 'PAGINATION_NUMBER_INVALID');
	assertError(await ask(proxy, '/v2/_catalog'), 401, 'UNAUTHORIZED');
});
