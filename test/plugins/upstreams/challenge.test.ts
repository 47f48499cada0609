import assert from 'node:assert/strict';
import { test } from 'node:test';
import { basic } from '../../support/proxy.ts';
import { ask, assertError, faultAt, forge, seen, setUp, tokenFor, upstreamPart } from '../../support/setup.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { bearer, TOKEN_PATH } from './expected-challenge.ts';

/* Every 401 sends the client to this proxy's own token endpoint, in the words that the client used. */

const upstream = await sharedUpstream();
const { repository, digest } = imageOf(upstream, 'acme/pinned');

test('without a token, every endpoint answers with a challenge in the friendly name', async (t) => {
	const { proxy } = await setUp(t);
	const rows: [path: string, scope: string | undefined][] = [
		['/v2/', undefined],
		['/v2', undefined],
		['/v2/?n=1', undefined],
		['/v2/_catalog', 'registry:catalog:*'],
		['/v2/acme/pinned/manifests/latest', 'acme/pinned'],
		['/v2/acme/pinned/1.1.0/manifests/anything', 'acme/pinned/1.1.0'],
		[`/v2/acme/pinned/manifests/${digest}`, 'acme/pinned'],
		[`/v2/acme/pinned/manifests/${digest.replace(':', '%3A')}`, 'acme/pinned'],
		['/v2/acme/pinned/manifests/latest?ns=bh.cr', 'acme/pinned'],
		[`/v2/acme/several/1.1.0/db/blobs/${digest}`, 'acme/several/1.1.0/db'],
		[`/v2/acme/pinned/referrers/${digest}`, 'acme/pinned'],
		['/v2/acme/pinned/tags/list', 'acme/pinned'],
		['/v2/acme/nowhere/manifests/latest', 'acme/nowhere'],
		['/v2/acme/secret/manifests/latest', 'acme/secret'],
		[`/v2/${repository}/manifests/latest`, repository],
	];
	for (const [path, scope] of rows) {
		for (const method of ['GET', 'HEAD']) {
			await t.test(`${method} ${path}`, async () => {
				const answer = await ask(proxy, path, { method });
				assert.equal(answer.headers['www-authenticate'], bearer(proxy.url, scope));
				assert.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0');
				assert.equal(answer.headers['content-type'], 'application/json');
				assert.equal(answer.status, 401);
				if (method === 'GET') {
					assertError(answer, 401, 'UNAUTHORIZED');
				}
			});
		}
	}
});

test('what is no bearer token is answered by the challenge and reaches no upstream', async (t) => {
	const { proxy, registry, api } = await setUp(t);
	const rows: Record<string, { authorization: string; error?: string }> = {
		'Basic with a good key': { authorization: basic(upstream.keys.owner) },
		'Basic with a bad key': { authorization: basic('nonsense') },
		'Basic with both parts empty': { authorization: basic('', '') },
		'another scheme': { authorization: 'Digest username="u"' },
		'an empty header': { authorization: '' },
		'Bearer without a token': { authorization: 'Bearer' },
		'Bearer with what is no token': { authorization: 'Bearer a b', error: 'invalid_token' },
		'bearer in lower case': { authorization: 'bearer "', error: 'invalid_token' },
		'Bearer with a map that is none': { authorization: 'Bearer a.b.c~AAAA', error: 'invalid_token' },
	};
	for (const [name, { authorization, error }] of Object.entries(rows)) {
		for (const [path, scope] of [
			['/v2/', undefined],
			['/v2/acme/pinned/manifests/latest', 'acme/pinned'],
		] as const) {
			await t.test(`${name}: ${path}`, async () => {
				const answer = await ask(proxy, path, { headers: { authorization } });
				assertError(answer, 401, 'UNAUTHORIZED');
				assert.equal(answer.headers['www-authenticate'], bearer(proxy.url, scope, error === undefined ? '' : `,error="${error}"`));
			});
		}
	}
	assert.deepEqual(seen(registry), ['GET /v2/'], 'the upstream is asked for its challenge once, and for nothing else');
	assert.deepEqual(
		registry.requests.map(({ headers }) => headers.authorization),
		[undefined],
	);
	assert.deepEqual(seen(api), []);
});

test('a 401 of the registry becomes one of the proxy, with its error', async (t) => {
	const { proxy, registry } = await setUp(t);
	const anonymous = upstreamPart(await tokenFor(proxy, []));
	const secret = imageOf(upstream, 'acme/secret');
	const forged = forge(anonymous, { n: { 'acme/pinned': [secret.repository, ''] } });

	await t.test('of the real registry, for a token without the grant', async () => {
		for (const what of [
			`manifests/latest`,
			`manifests/${secret.digest}`,
			`blobs/${secret.platforms[0]!.configDigest}`,
			`referrers/${secret.digest}`,
		]) {
			const answer = await ask(proxy, `/v2/acme/pinned/${what}`, { token: forged });
			// A registry without referrers answers 404 before it looks at the token.
			if (what.startsWith('referrers') && answer.status === 404) {
				continue;
			}
			assertError(answer, 401, 'UNAUTHORIZED');
			assert.equal(answer.headers['www-authenticate'], bearer(proxy.url, 'acme/pinned', ',error="insufficient_scope"'), what);
			assert.ok(!JSON.stringify(answer).includes(secret.repository.slice(3)), `${what} names the repository`);
		}
	});

	const rows: Record<string, { header: string | string[] | undefined; more: string }> = {
		'with a description': {
			header:
				'Bearer realm="https://api.example/token",service="x",scope="repository:v2/00:pull",error="invalid_token",error_description="it is \\"too old\\""',
			more: ',error="invalid_token",error_description="it is \\"too old\\""',
		},
		'unquoted, in another order and case': {
			header: 'bearer ERROR=insufficient_scope , Scope="a", Realm="https://api.example/token"',
			more: ',error="insufficient_scope"',
		},
		'behind another scheme': {
			header: ['Basic realm="x"', 'Bearer realm="https://api.example/token",service="x",error="invalid_token"'],
			more: ',error="invalid_token"',
		},
		'without an error': { header: 'Bearer realm="https://api.example/token",service="x"', more: ',error="invalid_token"' },
		'without a challenge': { header: undefined, more: ',error="invalid_token"' },
	};
	for (const [name, { header, more }] of Object.entries(rows)) {
		await t.test(name, async () => {
			registry.fault = faultAt(/./, {
				status: 401,
				headers: header === undefined ? {} : { 'www-authenticate': header },
				body: 'secrets of the upstream',
			});
			for (const what of ['manifests/latest', `manifests/${digest}`, `blobs/${digest}`, `referrers/${digest}`]) {
				const answer = await ask(proxy, `/v2/acme/pinned/${what}`, { token: forged });
				assertError(answer, 401, 'UNAUTHORIZED');
				assert.equal(answer.headers['www-authenticate'], bearer(proxy.url, 'acme/pinned', more));
			}
			const ping = await ask(proxy, '/v2/', { token: forged });
			assert.equal(ping.headers['www-authenticate'], bearer(proxy.url, undefined, more));
		});
	}

	await t.test('a name that the token does not hold: the challenge asks for it', async () => {
		registry.requests = [];
		const answer = await ask(proxy, '/v2/acme/several/manifests/latest', { token: await tokenFor(proxy, 'acme/pinned') });
		assertError(answer, 401, 'UNAUTHORIZED');
		assert.equal(answer.headers['www-authenticate'], bearer(proxy.url, 'acme/several', ',error="insufficient_scope"'));
		assert.deepEqual(seen(registry), []);
	});
});

test('the upstream’s name is learned once, and until then its failure is told', async (t) => {
	const { proxy, registry } = await setUp(t);
	const broken: Record<string, { fault: Parameters<typeof faultAt>[1]; status: number }> = {
		'it resets the connection': { fault: 'reset', status: 502 },
		'it does not ask for a token': { fault: { status: 200, body: '{}' }, status: 502 },
		'it asks for Basic': { fault: { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }, status: 502 },
	};
	for (const [name, { fault, status }] of Object.entries(broken)) {
		await t.test(name, async () => {
			registry.fault = () => fault;
			const message = assertError(await ask(proxy, '/v2/acme/pinned/manifests/latest'), status, 'UNAVAILABLE');
			assert.ok(!message.includes('127.0.0.1'));
		});
	}
	await t.test('it works again', async () => {
		registry.fault = () => undefined;
		registry.requests = [];
		await Promise.all(
			Array.from({ length: 5 }, async () => assertError(await ask(proxy, '/v2/acme/pinned/manifests/latest'), 401, 'UNAUTHORIZED')),
		);
		registry.fault = () => 'reset';
		assertError(await ask(proxy, '/v2/'), 401, 'UNAUTHORIZED');
		assert.deepEqual(seen(registry), ['GET /v2/']);
	});
});

test('while the registry cannot be asked for its challenge, its status and its Retry-After are the answer', async (t) => {
	const rows: Record<string, { status: number; retryAfter?: string; told: { status: number; code: string; retryAfter?: string } }> = {
		'503 with seconds': { status: 503, retryAfter: '7', told: { status: 503, code: 'UNAVAILABLE', retryAfter: '7' } },
		'503 with a date': {
			status: 503,
			retryAfter: 'Wed, 21 Oct 2015 07:28:00 GMT',
			told: { status: 503, code: 'UNAVAILABLE', retryAfter: '1' },
		},
		'503 alone': { status: 503, told: { status: 503, code: 'UNAVAILABLE' } },
		'429 with seconds': { status: 429, retryAfter: '7', told: { status: 429, code: 'TOOMANYREQUESTS', retryAfter: '7' } },
		'500': { status: 500, told: { status: 502, code: 'UNAVAILABLE' } },
	};
	for (const [what, { status, retryAfter, told }] of Object.entries(rows)) {
		for (const path of ['/v2/', '/v2/acme/pinned/manifests/latest', TOKEN_PATH]) {
			await t.test(`${what}: ${path}`, async (t) => {
				const { proxy, registry } = await setUp(t);
				registry.fault = faultAt(/^\/v2\/$/, { status, headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter } });
				const answer = await ask(proxy, path);
				assertError(answer, told.status, told.code);
				assert.equal(answer.headers['retry-after'], told.retryAfter);
				registry.fault = () => undefined;
				assert.ok((await ask(proxy, path)).status < 429, 'it does not recover');
			});
		}
	}
});
