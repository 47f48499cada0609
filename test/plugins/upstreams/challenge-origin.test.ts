import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, assertError, setUp } from '../../support/setup.ts';
import { bearer } from './expected-challenge.ts';

/* Which origin a challenge names: that of the service as the client sees it, and none that a client makes up. */

test('the realm is the proxy as the client sees it', async (t) => {
	const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'public.example' };
	const rows: { name: string; env?: Record<string, string>; headers?: Record<string, string>; origin: string }[] = [
		{ name: 'Host', headers: { host: 'registry.example' }, origin: 'http://registry.example' },
		{ name: 'Host with a port', headers: { host: 'registry.example:5000' }, origin: 'http://registry.example:5000' },
		{ name: 'Host is an IPv6 address', headers: { host: '[::1]:5000' }, origin: 'http://[::1]:5000' },
		{
			name: 'X-Forwarded-* of anybody counts for nothing',
			headers: { host: 'registry.example', ...forwarded },
			origin: 'http://registry.example',
		},
		{
			name: 'X-Forwarded-* of a trusted proxy',
			env: { TRUST_PROXY: 'loopback' },
			headers: { host: 'inner.example', ...forwarded },
			origin: 'https://public.example',
		},
		{
			name: 'X-Forwarded-Proto alone',
			env: { TRUST_PROXY: 'true' },
			headers: { host: 'registry.example', 'x-forwarded-proto': 'https' },
			origin: 'https://registry.example',
		},
		{
			name: 'X-Forwarded-* of another than the trusted proxy',
			env: { TRUST_PROXY: '10.0.0.0/8' },
			headers: { host: 'registry.example', ...forwarded },
			origin: 'http://registry.example',
		},
		{
			name: 'PUBLIC_URL',
			env: { PUBLIC_URL: 'https://bh.example:8443' },
			headers: { host: 'registry.example' },
			origin: 'https://bh.example:8443',
		},
		{
			name: 'PUBLIC_URL before X-Forwarded-*',
			env: { PUBLIC_URL: 'https://bh.example', TRUST_PROXY: 'true' },
			headers: forwarded,
			origin: 'https://bh.example',
		},
		{
			name: 'PUBLIC_URL in spite of a hostile Host',
			env: { PUBLIC_URL: 'https://bh.example' },
			headers: { host: 'evil.example",x="' },
			origin: 'https://bh.example',
		},
	];
	for (const { name, env, headers, origin } of rows) {
		await t.test(name, async (t) => {
			const { proxy } = await setUp(t, env);
			const unauthenticated = await ask(proxy, '/v2/acme/pinned/manifests/latest', { headers });
			assert.equal(unauthenticated.headers['www-authenticate'], bearer(origin, 'acme/pinned'));
			// The upstream's 401s as well.
			const refused = await ask(proxy, '/v2/', { headers, token: 'a.b.c' });
			assert.equal(refused.headers['www-authenticate'], bearer(origin, undefined, ',error="invalid_token"'));
		});
	}
});

test('a Host that is none is refused, and not echoed', async (t) => {
	const { proxy } = await setUp(t, { TRUST_PROXY: 'true' });
	const hosts = [
		'evil.example",realm="x',
		'evil.example/path',
		'user@evil.example',
		'evil.example#',
		'evil example',
		'-',
		'[::1',
		'evil.example:port',
		'h'.repeat(300),
		'%2e',
	];
	for (const host of hosts) {
		for (const header of ['host', 'x-forwarded-host']) {
			await t.test(`${header}: ${host.slice(0, 40)}`, async () => {
				const answer = await ask(proxy, '/v2/acme/pinned/manifests/latest', { headers: { [header]: host } });
				assertError(answer, 400, 'UNSUPPORTED');
				assert.equal(answer.headers['www-authenticate'], undefined);
				assert.ok(!answer.text.includes('evil'));
			});
		}
	}
	await t.test('X-Forwarded-Proto that is no web scheme', async () => {
		assertError(await ask(proxy, '/v2/', { headers: { 'x-forwarded-proto': 'javascript' } }), 400, 'UNSUPPORTED');
	});
});
