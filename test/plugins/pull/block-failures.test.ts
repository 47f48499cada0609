import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertError, CACHE_MODES, CACHES_OFF, faultAt, forgetRequests, seen, setUp, tokenFor } from '../../support/setup.ts';
import type { Fault } from '../../upstream/relay.ts';
import { display, entriesOf, get, IMAGE, IN_1_1 } from './sample-blocks.ts';

/* What the registry answers for one of a block’s images, and what becomes of the index. */

describe('what one child does to the index', () => {
	const ARM = display('armv7hf', '1.0.0');
	const rows: [what: string, fault: Fault, status: number, retryAfter?: string][] = [
		['401', { status: 401, headers: { 'www-authenticate': 'Bearer realm="x",service="y",error="insufficient_scope"' } }, 200],
		['403', { status: 403 }, 200],
		['404', { status: 404 }, 200],
		['429', { status: 429, headers: { 'retry-after': '9' } }, 429, '9'],
		['500', { status: 500 }, 502],
		['503', { status: 503, headers: { 'retry-after': '7' } }, 503, '7'],
		['a body that breaks off', { truncateAfterBytes: 100 }, 502],
		['a reset', 'reset', 502],
		['another body', { status: 200, headers: { 'content-type': IMAGE, 'docker-content-digest': ARM.digest }, body: '{}' }, 502],
		['a page', { status: 302, headers: { location: 'https://login.example/' } }, 502],
	];
	for (const [mode, env] of Object.entries(CACHE_MODES)) {
		for (const [what, fault, status, retryAfter] of rows) {
			test(`${what}; ${mode}`, async (t) => {
				const setup = await setUp(t, env);
				const token = await tokenFor(setup.proxy, 'acme/display');
				setup.registry.fault = faultAt(new RegExp(ARM.repository), fault);
				const index = await get(setup, 'acme/display', 'manifests/latest', token);
				assert.equal(index.status, status, index.text);
				assert.equal(index.headers['retry-after'], retryAfter);
				if (status === 200) {
					assert.deepEqual(
						(await entriesOf(setup, 'acme/display', token, index)).map(([, digest]) => digest),
						IN_1_1.map(([, { digest }]) => digest),
					);
				} else {
					// The others can be had all the same.
					assert.equal((await get(setup, 'acme/display', `manifests/${IN_1_1[0]![1].digest}`, token)).status, 200);
				}
				setup.registry.fault = () => undefined;
				assert.equal(
					(await entriesOf(setup, 'acme/display', token, await get(setup, 'acme/display', 'manifests/latest', token))).length,
					3,
				);
			});
		}
	}

	for (const [what, replicas] of [
		['the replica that made it', 1],
		['another one', 2],
	] as const) {
		test(`the index of another release, by its digest from ${what}: the failure, and not "nowhere"`, async (t) => {
			const env = { ...CACHES_OFF, TOKEN_SECRET: 'correct-horse-battery-staple-correct-horse' };
			const setups = [await setUp(t, env), await setUp(t, env)];
			const [first, last] = [setups[0]!, setups[replicas - 1]!];
			const token = await tokenFor(first.proxy, 'acme/display');
			const index = await get(first, 'acme/display', 'manifests/1.0.0', token);
			const path = `manifests/${String(index.headers['docker-content-digest'])}`;
			last.registry.fault = faultAt(new RegExp(`${display('amd64', '1.0.0').repository}/manifests/latest`), {
				status: 503,
				headers: { 'retry-after': '7' },
			});
			const failed = await get(last, 'acme/display', path, token);
			assert.deepEqual([failed.status, failed.headers['retry-after']], [503, '7'], failed.text);
			last.registry.fault = () => undefined;
			assert.equal((await get(last, 'acme/display', path, token)).text, index.text);
		});
	}

	test('a token that the registry refuses for all of them: a challenge', async (t) => {
		const setup = await setUp(t);
		const token = await tokenFor(setup.proxy, 'acme/display');
		setup.registry.fault = faultAt(/manifests/, {
			status: 401,
			headers: { 'www-authenticate': 'Bearer realm="x",service="y",error="invalid_token"' },
		});
		const refused = await get(setup, 'acme/display', 'manifests/latest', token);
		assertError(refused, 401, 'UNAUTHORIZED');
		assert.match(String(refused.headers['www-authenticate']), /scope="repository:acme\/display:pull",error="invalid_token"/);
		forgetRequests(setup);
		await tokenFor(setup.proxy, 'acme/display');
		assert.equal(seen(setup.api, ({ url }) => url.startsWith('/auth/')).length, 1, 'it is forgotten, and the next one is new');
	});
});
