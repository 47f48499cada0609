import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT, basic } from '../../support/proxy.ts';
import { mintToken } from '../../upstream/control.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import {
	ask,
	assertError,
	CACHE_MODES,
	faultAt,
	forge,
	grantsOf,
	seen,
	setUp,
	tokenFor,
	upstreamPart,
	type Answer,
	type Setup,
} from '../../support/setup.ts';

/* Who gets what is remembered: only the holder of a token that the registry has itself accepted for the repository, not long ago. */

const upstream = await sharedUpstream();
const SECRET = imageOf(upstream, 'acme/secret');
const { configDigest } = SECRET.platforms[0]!;
const owner = basic(upstream.keys.owner);

/** What can be in memory. */
const PATHS: [method: 'GET' | 'HEAD', path: string][] = ['GET', 'HEAD'].flatMap((method) =>
	['manifests/latest', `manifests/${SECRET.digest}`, `blobs/${configDigest}`].map((path): ['GET' | 'HEAD', string] => [
		method as 'GET',
		path,
	]),
);

const redirectBlobs = faultAt(/\/blobs\//, {
	status: 307,
	headers: { location: 'https://storage.example/a/blob?X-Amz-Signature=abc', 'docker-distribution-api-version': 'registry/2.0' },
});

const request = (
	{ proxy }: Setup,
	[method, path]: (typeof PATHS)[number],
	token: string,
	headers: Record<string, string> = {},
): Promise<Answer> => ask(proxy, `/v2/acme/secret/${path}`, { method, token, headers: { accept: ACCEPT, ...headers } });

/** Puts everything into memory, where there is one. */
async function warmUp(setup: Setup, token: string): Promise<void> {
	setup.registry.fault = redirectBlobs;
	for (const each of [...PATHS, ...PATHS]) {
		const { status } = await request(setup, each, token);
		assert.equal(status, each[1].startsWith('blobs') ? 307 : 200);
	}
}

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	test(`a token without the grant sees nothing of what is remembered; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const { proxy } = setup;
		const good = await tokenFor(proxy, 'acme/secret', owner);
		const map = { n: grantsOf(good) };
		const own = upstreamPart(good);
		const [header, claims, signature] = own.split('.') as [string, string, string];
		const tokens: Record<string, () => Promise<string>> = {
			'an anonymous token': () => tokenFor(proxy, 'acme/secret'),
			'a stranger’s token': () => tokenFor(proxy, 'acme/secret', basic(upstream.keys.stranger)),
			'an anonymous token with the owner’s map': async () => forge(upstreamPart(await tokenFor(proxy, 'acme/pinned')), map),
			'a stranger’s token with the owner’s map': async () =>
				forge(upstreamPart(await tokenFor(proxy, 'acme/secret', basic(upstream.keys.stranger))), map),
			'the owner’s token for another repository': async () =>
				forge(upstreamPart(await tokenFor(proxy, 'acme/secret-several/1.0.0/main', owner)), map),
			'an anonymous token that was just accepted for another repository': async () => {
				const pinned = imageOf(upstream, 'acme/pinned').repository;
				const token = forge(upstreamPart(await tokenFor(proxy, 'acme/pinned')), { n: { ...map.n, 'acme/pinned': [pinned, ''] } });
				for (const path of [
					'/v2/',
					'/v2/acme/pinned/manifests/latest',
					`/v2/acme/pinned/blobs/${imageOf(upstream, 'acme/pinned').platforms[0]!.configDigest}`,
				]) {
					assert.equal((await ask(proxy, path, { token, headers: { accept: ACCEPT } })).status, 200);
				}
				return token;
			},
			'a token that grants something else': async () =>
				forge(await mintToken(upstream, [{ type: 'repository', name: SECRET.repository, actions: ['push'] }]), map),
			'a token for another registry': async () =>
				forge(
					await mintToken(upstream, [{ type: 'repository', name: SECRET.repository, actions: ['pull'] }], { audience: 'other.example' }),
					map,
				),
			'an expired token': async () =>
				forge(await mintToken(upstream, [{ type: 'repository', name: SECRET.repository, actions: ['pull'] }], { lifetime: -3600 }), map),
			'the good token with another signature': async () =>
				forge(`${header}.${claims}.${signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`, map),
			'the good token with other claims': async () =>
				forge(
					`${header}.${Buffer.from(Buffer.from(claims, 'base64url').toString().replace('"sub":"owner"', '"sub":"other"')).toString('base64url')}.${signature}`,
					map,
				),
			'no upstream token': async () => forge('', map),
			nonsense: async () => 'a.b.c',
		};
		await warmUp(setup, good);
		for (const [name, make] of Object.entries(tokens)) {
			await t.test(name, async () => {
				setup.registry.fault = () => undefined;
				const token = await make();
				for (const each of PATHS) {
					for (const headers of [{}, { 'if-none-match': `"${SECRET.digest}"` }]) {
						const answer = await request(setup, each, token, headers as Record<string, string>);
						assert.ok(answer.status === 401 || answer.status === 404, `${each.join(' ')}: ${answer.status}`);
						assert.equal(answer.headers['location'], undefined);
						assert.equal(answer.headers['docker-content-digest'], undefined);
						assert.ok(!answer.text.includes('schemaVersion'));
						assert.ok(!JSON.stringify(answer).includes(SECRET.repository.slice(3)));
					}
				}
			});
		}
		await t.test('while the good token still does', async () => {
			setup.registry.fault = redirectBlobs;
			for (const each of PATHS) {
				assert.ok((await request(setup, each, good)).status < 400);
			}
		});
	});
}

test('what the registry said of a token is not believed for longer than it may be', async (t) => {
	const MINUTE = 60_000;
	const rows: Record<string, { env?: Record<string, string>; lifetime: number; passes: number }> = {
		'beyond the token’s expiry': { lifetime: 100, passes: 100_001 },
		'beyond AUTHORIZATION_TTL': { lifetime: 4 * 3600, passes: 2 * MINUTE + 1 },
		'beyond a shorter AUTHORIZATION_TTL': { env: { AUTHORIZATION_TTL: '5' }, lifetime: 4 * 3600, passes: 5001 },
		// A registry accepts what has expired less than a minute ago, because clocks differ; it has to be asked each time.
		'of a token that has just expired': { lifetime: -20, passes: 0 },
	};
	for (const [name, { env, lifetime, passes }] of Object.entries(rows)) {
		await t.test(name, async (t) => {
			const setup = await setUp(t, env);
			const token = forge(await mintToken(upstream, [{ type: 'repository', name: SECRET.repository, actions: ['pull'] }], { lifetime }), {
				n: { 'acme/secret': [SECRET.repository, '1.1.0'] },
			});
			await warmUp(setup, token);
			if (lifetime > 0) {
				setup.registry.requests = [];
				await Promise.all(PATHS.map((each) => request(setup, each, token)));
				assert.deepEqual(seen(setup.registry), [], 'it is in memory');
			}
			t.mock.timers.enable({ apis: ['Date'], now: Date.now() + passes });
			// What a registry says when the token is not good any more.
			const said = {
				status: 401,
				headers: {
					'www-authenticate': `Bearer realm="${upstream.apiUrl}/auth/v1/token",service="${upstream.service}",error="invalid_token"`,
				},
			};
			setup.registry.fault = faultAt(/manifests|blobs/, said);
			for (const each of PATHS) {
				setup.registry.requests = [];
				const answer = await request(setup, each, token);
				assert.equal(answer.status, 401, each.join(' '));
				assert.match(answer.headers['www-authenticate']!, /scope="repository:acme\/secret:pull",error="invalid_token"/);
				assert.equal(seen(setup.registry, ({ url }) => url !== '/v2/').length, 1);
			}
		});
	}
	await t.test('the ping likewise', async (t) => {
		const { proxy, registry } = await setUp(t);
		const token = await tokenFor(proxy, 'acme/pinned');
		assert.equal((await ask(proxy, '/v2/', { token })).status, 200);
		t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 2 * MINUTE + 1 });
		registry.fault = () => ({ status: 401, headers: { 'www-authenticate': `Bearer realm="x",service="x",error="invalid_token"` } });
		assertError(await ask(proxy, '/v2/', { token }), 401, 'UNAUTHORIZED');
	});
});
