import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT } from '../../support/proxy.ts';
import { changeFleet } from '../../upstream/control.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { ask, assertError, grantsOf, seen, setUp, tokenFor } from '../../support/setup.ts';
import { until } from '../../support/until.ts';

/* What is not kept in memory, and what is forgotten. */

const upstream = await sharedUpstream();
const BROWSER = 'balenalabs/browser-aarch64';
const NAME = 'acme/pinned/1.0.0';
const IMAGE = imageOf(upstream, 'acme/pinned', '1.0.0');

test('memory is bounded', async (t) => {
	await t.test('manifests, in bytes', async (t) => {
		const setup = await setUp(t, { MANIFEST_CACHE_BYTES: '3000' });
		const { proxy, registry } = setup;
		const versions = ['1.9.3', '1.10.0', '2.1.0', '2.1.1', '2.4.0'].map((version) => `${BROWSER}/${version}`);
		const token = await tokenFor(proxy, versions);
		for (const name of versions) {
			assert.equal((await ask(proxy, `/v2/${name}/manifests/latest`, { token, headers: { accept: ACCEPT } })).status, 200);
			assert.ok(proxy.app.manifests.counts.size <= 3000, String(proxy.app.manifests.counts.size));
		}
		registry.requests = [];
		await ask(proxy, `/v2/${versions.at(-1)}/manifests/latest`, { token, headers: { accept: ACCEPT } });
		assert.equal(registry.requests.length, 0, 'the last is still there');
		await ask(proxy, `/v2/${versions[0]}/manifests/latest`, { token, headers: { accept: ACCEPT } });
		assert.equal(registry.requests.length, 1, 'the first is not');
	});
	const rows: Record<string, { env: Record<string, string>; path: string }> = {
		resolutions: { env: { RESOLUTION_CACHE_SIZE: '1' }, path: '/v7/' },
		tokens: { env: { TOKEN_CACHE_SIZE: '1' }, path: '/auth/' },
	};
	for (const [what, { env, path }] of Object.entries(rows)) {
		await t.test(what, async (t) => {
			const { proxy, api } = await setUp(t, env);
			const asked = async (name: string): Promise<number> => {
				api.requests = [];
				await tokenFor(proxy, name);
				return seen(api, ({ url }) => url.startsWith(path)).length;
			};
			assert.deepEqual(
				[await asked('acme/pinned'), await asked('acme/pinned'), await asked('acme/multi-arch'), await asked('acme/pinned')],
				[1, 0, 1, 1],
			);
		});
	}
});

test('a client’s token is remembered for as long as the registry’s word for it counts, and no longer', async (t) => {
	const { proxy } = await setUp(t, { AUTHORIZATION_TTL: '1' });
	const token = await tokenFor(proxy, 'acme/pinned');
	assert.equal(proxy.app.clientTokens.size, 0);
	assert.equal((await ask(proxy, '/v2/', { token })).status, 200);
	assert.equal(proxy.app.clientTokens.size, 1);
	await until(() => proxy.app.clientTokens.size === 0);
	assert.equal((await ask(proxy, '/v2/', { token })).status, 200);
});

test('a manifest by tag is asked for again after MANIFEST_TAG_TTL, one by digest is not', async (t) => {
	const { proxy, registry } = await setUp(t, { MANIFEST_TAG_TTL: '0.05' });
	const question = { token: await tokenFor(proxy, NAME), headers: { accept: ACCEPT } };
	await ask(proxy, `/v2/${NAME}/manifests/latest`, question);
	registry.requests = [];
	await until(async () => {
		for (const reference of ['latest', IMAGE.digest]) {
			assert.equal((await ask(proxy, `/v2/${NAME}/manifests/${reference}`, question)).headers['docker-content-digest'], IMAGE.digest);
		}
		return registry.requests.length > 0;
	});
	assert.deepEqual(seen(registry), [`GET /v2/${IMAGE.repository}/manifests/latest`]);
});

test('a fleet changes', async (t) => {
	const slug = 'acme/changing';
	const TTL = '0.05';
	const setup = await setUp(t, {
		RESOLUTION_TTL: TTL,
		RESOLUTION_FAILURE_TTL: TTL,
		TOKEN_TTL: TTL,
		AUTHORIZATION_TTL: TTL,
		STALE_TTL: '0',
	});
	const { proxy } = setup;
	t.after(() => changeFleet(upstream, slug, { isPublic: true, target: '1.0.0' }));
	const digestWith = async (token: string): Promise<unknown> =>
		(await ask(proxy, `/v2/${slug}/manifests/latest`, { token, headers: { accept: ACCEPT } })).headers['docker-content-digest'];
	const [old, next] = [imageOf(upstream, slug, '1.0.0').digest, imageOf(upstream, slug, '1.1.0').digest];
	await t.test('a new release: new pulls get it, and one under way stays with the release of its start', async () => {
		const token = await tokenFor(proxy, slug);
		assert.equal(await digestWith(token), old);
		await changeFleet(upstream, slug, { target: '1.1.0' });
		await until(async () => (await digestWith(await tokenFor(proxy, slug))) === next);
		assert.equal(await digestWith(token), old);
	});
	await t.test('it turns private: new pulls are refused, and what was remembered is not told', async () => {
		await changeFleet(upstream, slug, { isPublic: false });
		let token = '';
		await until(async () => {
			token = await tokenFor(proxy, slug);
			return !('fleet' in (grantsOf(token)[slug] as object));
		});
		assertError(await ask(proxy, `/v2/${slug}/manifests/latest`, { token }), 404, 'NAME_UNKNOWN');
	});
});
