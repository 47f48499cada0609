import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mintToken } from '../../upstream/control.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import {
	ask,
	assertError,
	faultAt,
	forgetRequests,
	grantsOf,
	seen,
	setUp,
	tokenFor,
	upstreamPart,
	type Answer,
	type Question,
	type Setup,
} from '../../support/setup.ts';

/* `GET` and `POST /auth/v1/token`: friendly names in, a token for the repositories behind them out. */

const upstream = await sharedUpstream();
const PINNED = imageOf(upstream, 'acme/pinned').repository;
const MULTI_ARCH = imageOf(upstream, 'acme/multi-arch').repository;
const FORM = 'application/x-www-form-urlencoded';

const get = (query: string): { path: string; question: Question } => ({ path: `/auth/v1/token${query}`, question: {} });
const post = (body: string, type = FORM): { path: string; question: Question } => ({
	path: '/auth/v1/token',
	question: { method: 'POST', body, headers: { 'content-type': type } },
});
const scope = (name: string, actions = 'pull'): string => `scope=repository:${name}:${actions}`;

/** @returns the claims of the upstream's token in an answer */
function claimsOf(answer: Answer): { sub: string; access: { name: string; actions: string[] }[] } {
	assert.equal(answer.status, 200, answer.text);
	return JSON.parse(Buffer.from(upstreamPart(JSON.parse(answer.text).token).split('.')[1]!, 'base64url').toString());
}

/** The scopes for which the upstream's token endpoint was asked. */
const askedScopes = ({ api }: Setup): string[][] =>
	api.requests.filter(({ url }) => url.startsWith('/auth/')).map(({ url }) => new URL(url, 'http://api').searchParams.getAll('scope'));

test('forms of a request, and for what the upstream is asked', async (t) => {
	const setup = await setUp(t, { TOKEN_TTL: '0' });
	const rows: Record<string, { request: ReturnType<typeof get>; names: string[]; repositories: string[] }> = {
		'GET with one scope': { request: get(`?${scope('acme/pinned')}`), names: ['acme/pinned'], repositories: [PINNED] },
		'with a service, a client and more': {
			request: get(`?service=other&client_id=docker&account=u&offline_token=true&${scope('acme/pinned')}`),
			names: ['acme/pinned'],
			repositories: [PINNED],
		},
		'repeated scopes': {
			request: get(`?${scope('acme/pinned')}&${scope('acme/multi-arch')}`),
			names: ['acme/pinned', 'acme/multi-arch'],
			repositories: [PINNED, MULTI_ARCH],
		},
		'scopes in one parameter': {
			request: get(`?${scope('acme/pinned')}%20repository:acme/multi-arch:pull`),
			names: ['acme/pinned', 'acme/multi-arch'],
			repositories: [PINNED, MULTI_ARCH],
		},
		both: {
			request: get(`?${scope('acme/pinned')}+repository:acme/secret:pull&${scope('acme/multi-arch')}`),
			names: ['acme/pinned', 'acme/secret', 'acme/multi-arch'],
			repositories: [PINNED, MULTI_ARCH],
		},
		'the same scope twice': {
			request: get(`?${scope('acme/pinned')}&${scope('acme/pinned')}`),
			names: ['acme/pinned'],
			repositories: [PINNED],
		},
		'push and pull': { request: get(`?${scope('acme/pinned', 'pull,push')}`), names: ['acme/pinned'], repositories: [PINNED] },
		'pull and push and pull again': {
			request: get(`?${scope('acme/pinned', 'push,pull')}&${scope('acme/pinned')}`),
			names: ['acme/pinned'],
			repositories: [PINNED],
		},
		'all actions': { request: get(`?${scope('acme/pinned', '*')}`), names: ['acme/pinned'], repositories: [PINNED] },
		'push alone': { request: get(`?${scope('acme/pinned', 'push')}`), names: [], repositories: [] },
		'delete alone': {
			request: get(`?${scope('acme/pinned', 'delete')}&${scope('acme/multi-arch')}`),
			names: ['acme/multi-arch'],
			repositories: [MULTI_ARCH],
		},
		'the catalog': { request: get('?scope=registry:catalog:*'), names: [], repositories: [] },
		'a malformed scope is left out': {
			request: get(
				`?scope=repository:acme/..%2fpinned:pull&scope=nonsense&scope=&scope=repository:ACME/pinned:pull&${scope('acme/pinned')}`,
			),
			names: ['acme/pinned'],
			repositories: [PINNED],
		},
		'the upstream’s own name': { request: get(`?${scope(PINNED)}`), names: [PINNED], repositories: [PINNED] },
		'a name that refers to nothing': { request: get(`?${scope('alone')}`), names: ['alone'], repositories: [] },
		'POST without a grant type': { request: post(scope('acme/pinned')), names: ['acme/pinned'], repositories: [PINNED] },
		'POST with a list of scopes': {
			request: post(`grant_type=password&username=&password=&${scope('acme/pinned')}+repository:acme/multi-arch:pull`),
			names: ['acme/pinned', 'acme/multi-arch'],
			repositories: [PINNED, MULTI_ARCH],
		},
		'POST with a charset': {
			request: post(scope('acme/pinned'), `${FORM}; charset=UTF-8`),
			names: ['acme/pinned'],
			repositories: [PINNED],
		},
		'POST: what is in the query does not count': {
			request: { ...post(scope('acme/pinned')), path: `/auth/v1/token?${scope('acme/multi-arch')}` },
			names: ['acme/pinned'],
			repositories: [PINNED],
		},
		'POST without a body': { request: { path: '/auth/v1/token', question: { method: 'POST' } }, names: [], repositories: [] },
	};
	for (const [name, { request, names, repositories }] of Object.entries(rows)) {
		await t.test(name, async () => {
			forgetRequests(setup);
			const answer = await ask(setup.proxy, request.path, request.question);
			assert.equal(answer.status, 200, answer.text);
			const body = JSON.parse(answer.text);
			assert.deepEqual(Object.keys(grantsOf(body.token)).sort(), [...names].sort());
			assert.equal(body.scope, names.map((granted) => `repository:${granted}:pull`).join(' '));
			assert.deepEqual(askedScopes(setup), [repositories.map((repository) => `repository:${repository}:pull`).sort()]);
			assert.deepEqual(
				claimsOf(answer)
					.access.map(({ name, actions }) => [name, actions.join()])
					.sort(),
				repositories.map((repository) => [repository, 'pull']).sort(),
			);
		});
	}
	await t.test('the service is the upstream’s own name for itself, whatever the client says', () => {
		assert.deepEqual(
			[
				...new Set(
					setup.api.requests
						.filter(({ url }) => url.startsWith('/auth/'))
						.map(({ url }) => new URL(url, 'http://api').searchParams.get('service')),
				),
			],
			[upstream.service],
		);
	});
});

test('the answer', async (t) => {
	const { proxy, api } = await setUp(t, { TOKEN_TTL: '0' });
	const issue = async (): Promise<{ answer: Answer; body: any }> => {
		const answer = await ask(proxy, `/auth/v1/token?offline_token=true&${scope('acme/pinned')}`);
		assert.equal(answer.status, 200, answer.text);
		return { answer, body: JSON.parse(answer.text) };
	};
	await t.test('has what clients read, and no refresh token', async () => {
		const before = Date.now();
		const { answer, body } = await issue();
		assert.deepEqual(Object.keys(body).sort(), ['access_token', 'expires_in', 'issued_at', 'scope', 'token']);
		assert.equal(body.access_token, body.token);
		assert.match(body.token, /^[A-Za-z0-9._~-]+$/);
		assert.match(body.issued_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
		assert.ok(Date.parse(body.issued_at) >= before && Date.parse(body.issued_at) <= Date.now());
		assert.ok(body.expires_in > 14_000 && body.expires_in <= 14_400, String(body.expires_in));
		assert.equal(answer.headers['content-type'], 'application/json');
		assert.equal(answer.headers['cache-control'], 'no-store');
	});
	for (const [lifetime, least, most] of [
		[200, 190, 200],
		[20, 60, 60],
		[-100, 60, 60],
	] as const) {
		await t.test(`a token that lives for ${lifetime} s is said to live for ${most} s at the most`, async () => {
			const token = await mintToken(upstream, [], { lifetime });
			api.fault = faultAt(/^\/auth/, { status: 200, body: JSON.stringify({ token }) });
			const { body } = await issue();
			assert.ok(body.expires_in >= least && body.expires_in <= most, String(body.expires_in));
		});
	}
	await t.test('a token that says nothing of its life is said to live for 60 s', async () => {
		api.fault = faultAt(/^\/auth/, { status: 200, body: JSON.stringify({ token: 'a.b.c' }) });
		assert.equal((await issue()).body.expires_in, 60);
	});
	for (const body of [
		'',
		'null',
		'{}',
		'{"token":1}',
		'{"token":""}',
		'{"token":"a b.c.d"}',
		'{"token":"a.b.c~d"}',
		'<html>',
		`{"token":"${'a'.repeat(100_000)}.b.c"}`,
	]) {
		await t.test(`what the upstream answers is no token: ${body.slice(0, 20)}`, async () => {
			api.fault = faultAt(/^\/auth/, { status: 200, body });
			assertError(await ask(proxy, `/auth/v1/token?${scope('acme/pinned')}`), 502, 'UNAVAILABLE');
		});
	}
});

test('bodies that are no forms', async (t) => {
	const { proxy, api } = await setUp(t);
	const rows: Record<string, { type: string; body: string; status: number }> = {
		'another type': { type: 'application/octet-stream', body: scope('acme/pinned'), status: 415 },
		'broken JSON': { type: 'application/json', body: '{', status: 415 },
		'a login as JSON': { type: 'application/json', body: '{"grant_type":"password","username":"u","password":"key"}', status: 415 },
		'another encoding of characters': { type: `${FORM}; charset=utf-16`, body: scope('acme/pinned'), status: 415 },
		'a login without a grant type': { type: FORM, body: 'username=u&password=key', status: 400 },
		'more than 64 KiB': { type: FORM, body: `${scope('acme/pinned')}&x=${'x'.repeat(70_000)}`, status: 413 },
	};
	for (const [name, { type, body, status }] of Object.entries(rows)) {
		await t.test(name, async () => void assertError(await ask(proxy, '/auth/v1/token', post(body, type).question), status, 'UNSUPPORTED'));
	}
	assert.deepEqual(seen(api), []);
});

test('how many names a token is for', async (t) => {
	const { proxy, api } = await setUp(t);
	const names = (count: number): string => Array.from({ length: count }, (_, i) => scope(`acme/pinned/1.${i}.0`)).join('&');
	await t.test('8 are fine', async () => assert.equal((await ask(proxy, `/auth/v1/token?${names(8)}`)).status, 200));
	await t.test('9 are refused, and nothing is asked', async () => {
		api.requests = [];
		assertError(await ask(proxy, `/auth/v1/token?${names(9)}`), 400, 'UNSUPPORTED');
		assertError(await ask(proxy, '/auth/v1/token', post(names(9)).question), 400, 'UNSUPPORTED');
		assert.deepEqual(seen(api), []);
	});
});

test('what does not resolve spoils nothing else, and its reason reaches the request for it', async (t) => {
	const { proxy } = await setUp(t);
	const token = await tokenFor(proxy, ['acme/pinned', 'acme/nowhere', 'alone', 'acme/pinned/9.9.9']);
	assert.equal((await ask(proxy, '/v2/acme/pinned/manifests/latest', { token })).status, 200);
	for (const [name, code, status, words] of [
		['acme/nowhere', 'NAME_UNKNOWN', 404, /no public fleet acme\/nowhere.*log in/],
		['alone', 'NAME_INVALID', 400, /<org>\/<fleet>/],
		['acme/pinned/9.9.9', 'NAME_UNKNOWN', 404, /no release 9\.9\.9/],
	] as const) {
		for (const what of [
			'manifests/latest',
			`manifests/sha256:${'0'.repeat(64)}`,
			`blobs/sha256:${'0'.repeat(64)}`,
			`referrers/sha256:${'0'.repeat(64)}`,
		]) {
			await t.test(`${name}/${what.slice(0, 20)}`, async () => {
				const answer = await ask(proxy, `/v2/${name}/${what}`, { token });
				assert.match(assertError(answer, status, code), words);
				assert.match(answer.reason, words);
				assert.match(String(answer.headers['warning']), /^299 - "/);
			});
		}
	}
});
