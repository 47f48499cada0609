import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT, basic } from '../../support/proxy.ts';
import { ask, assertError, CACHE_MODES, setUp, tokenFor, upstreamPart } from '../../support/setup.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { manifest } from './checked-manifest.ts';

/* The registry’s own names, and tokens that the API issued itself: who has either pulls as from the registry. */

const upstream = await sharedUpstream();
const owner = basic(upstream.keys.owner);

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	test(`the upstream’s own names pass through; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const { proxy } = setup;
		const image = imageOf(upstream, 'acme/pinned');
		const secret = imageOf(upstream, 'acme/secret');
		await t.test('with their tag', async () => {
			const token = await tokenFor(proxy, image.repository);
			assert.equal((await manifest(setup, image.repository, 'latest', token)).headers['docker-content-digest'], image.digest);
			assertError(
				await ask(proxy, `/v2/${image.repository}/manifests/1.1.0`, { token, headers: { accept: ACCEPT } }),
				404,
				'MANIFEST_UNKNOWN',
			);
		});
		await t.test('under a token of the API itself', async () => {
			const token = upstreamPart(await tokenFor(proxy, image.repository));
			assert.equal((await manifest(setup, image.repository, image.digest, token)).headers['docker-content-digest'], image.digest);
		});
		await t.test('only for those who may', async () => {
			assert.equal(
				(await manifest(setup, secret.repository, 'latest', await tokenFor(proxy, secret.repository, owner))).headers[
					'docker-content-digest'
				],
				secret.digest,
			);
			for (const authorization of [undefined, basic(upstream.keys.stranger)]) {
				const answer = await ask(proxy, `/v2/${secret.repository}/manifests/latest`, {
					token: await tokenFor(proxy, secret.repository, authorization),
				});
				assertError(answer, 401, 'UNAUTHORIZED');
				assert.match(answer.headers['www-authenticate']!, /error="insufficient_scope"/);
			}
		});
	});

	test(`tokens that the API issued itself; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const { proxy } = setup;
		const own = async (scope: string, authorization?: string): Promise<string> => {
			const answer = await ask({ url: upstream.apiUrl }, `/auth/v1/token?scope=repository:${scope}:pull`, {
				headers: authorization === undefined ? {} : { authorization },
			});
			return JSON.parse(answer.text).token as string;
		};
		const pinned = imageOf(upstream, 'acme/pinned');
		const rows: { name: string; pulls: string; token: () => Promise<string>; digest: string | 401 | 404 }[] = [
			{
				name: 'an alias, public',
				pulls: 'acme/pinned/1.0.0',
				token: () => own('acme/pinned/1.0.0'),
				digest: imageOf(upstream, 'acme/pinned', '1.0.0').digest,
			},
			{
				name: 'an alias, private',
				pulls: 'acme/secret',
				token: () => own('acme/secret', owner),
				digest: imageOf(upstream, 'acme/secret').digest,
			},
			{ name: 'an alias of another name', pulls: 'acme/multi-arch', token: () => own('acme/pinned'), digest: 401 },
			{
				name: 'no alias: the name is resolved for anybody',
				pulls: 'acme/pinned',
				token: () => own(pinned.repository),
				digest: pinned.digest,
			},
			{ name: 'no alias, and another image', pulls: 'acme/multi-arch', token: () => own(pinned.repository), digest: 401 },
			{
				name: 'no alias, and a private fleet, whoever asks',
				pulls: 'acme/secret',
				token: () => own(imageOf(upstream, 'acme/secret').repository, owner),
				digest: 404,
			},
		];
		for (const { name, pulls, token, digest } of rows) {
			await t.test(name, async () => {
				const text = await token();
				if (typeof digest === 'string') {
					assert.equal((await manifest(setup, pulls, 'latest', text)).headers['docker-content-digest'], digest);
				} else {
					assertError(
						await ask(proxy, `/v2/${pulls}/manifests/latest`, { token: text }),
						digest,
						digest === 401 ? 'UNAUTHORIZED' : 'NAME_UNKNOWN',
					);
				}
			});
		}
	});
}
