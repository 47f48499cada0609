import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT, basic } from '../support/proxy.ts';
import { ask, faultAt, forgetRequests, currentGrantsOf, seen, setUp, tokenFor, upstreamPart, type Setup } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import type { Fault } from '../upstream/relay.ts';
import { assertTold, logged, LONG, type Told } from '../support/expect.ts';
import { until } from '../support/until.ts';

/* An outage of the API: what is remembered keeps public pulls going for STALE_TTL, and nothing that was got with credentials does. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const REPOSITORY = imageOf(upstream, 'acme/pinned', '1.0.0').repository;
const LOGIN = basic(upstream.keys.owner);
/** What is remembered is old at once. */
const OLD = { RESOLUTION_TTL: '0.001', RESOLUTION_FAILURE_TTL: '0.001', TOKEN_TTL: '0.001' };
const UNREACHABLE: Told = { status: 502, code: 'UNAVAILABLE', words: /API could not be reached/ };

const OUTAGES: Record<string, Fault> = {
	'is down': 'reset',
	hangs: 'hang',
	'answers 500': { status: 500 },
	'answers 429': { status: 429 },
	'answers HTML': { status: 200, body: '<html>' },
	redirects: { status: 302, headers: { location: 'https://sorry.example/' } },
};

/** Pulls the manifest of a public image, from the token on. @returns the upstream's token */
async function pullPublic({ proxy }: Setup): Promise<string> {
	const token = await tokenFor(proxy, NAME);
	assert.deepEqual(currentGrantsOf(token), { [NAME]: [REPOSITORY, '1.0.0'] });
	const answer = await ask(proxy, `/v2/${NAME}/manifests/latest`, { token, headers: { accept: '*/*' } });
	assert.equal(answer.status, 200, answer.text);
	return upstreamPart(token);
}

test('public pulls of names that are known go on while the API', { timeout: 60_000, concurrency: true }, async (t) => {
	await Promise.all(
		Object.entries(OUTAGES).map(([outage, fault]) =>
			t.test(outage, { timeout: 30_000 }, async (t) => {
				const setup = await setUp(t, { ...LONG, ...OLD });
				const { proxy, api } = setup;
				const before = await pullPublic(setup);
				await ask(proxy, '/auth/v1/token', { headers: { authorization: LOGIN } });
				api.fault = faultAt(/./, fault);
				assert.deepEqual(await Promise.all([1, 2, 3].map(() => pullPublic(setup))), [before, before, before]);
				assert.ok(logged(proxy, ({ level, msg }) => level === 40 && /API is unavailable: resolving from what is remembered/.test(msg)));
				assert.ok(
					logged(proxy, ({ level, msg }) => level === 40 && /API is unavailable: an anonymous token is the one remembered/.test(msg)),
				);
				assert.ok(proxy.app.resolver.counts.stale > 0 && proxy.app.upstreamTokens.counts.stale > 0);
				// And once it is back, what is new is used at once.
				api.fault = () => undefined;
				await until(() => api.underWay === 0 || fault === 'hang');
				if (fault !== 'hang') {
					await pullPublic(setup);
					assert.notEqual(await pullPublic(setup), before);
				}
			}),
		),
	);
});

test(
	'a refusal is an answer, and no outage: what is remembered does not stand in where the API answers',
	{ timeout: 30_000 },
	async (t) => {
		for (const status of [401, 403]) {
			for (const path of [/^\/v7/, /^\/auth/]) {
				await t.test(`${status} at ${path.source}`, async (t) => {
					const setup = await setUp(t, { ...LONG, ...OLD });
					await pullPublic(setup);
					setup.api.fault = faultAt(path, { status });
					const answer = await ask(setup.proxy, `/auth/v1/token?scope=repository:${NAME}:pull`);
					assert.ok(answer.status === 401 || answer.status === 403, `${answer.status} ${answer.text}`);
					assert.equal(
						logged(setup.proxy, ({ msg }) => /is unavailable/.test(msg)),
						undefined,
					);
				});
			}
		}
	},
);

test('a slow API is waited for, but not for long where something is remembered', { timeout: 20_000 }, async (t) => {
	const setup = await setUp(t, { ...LONG, ...OLD });
	const before = await pullPublic(setup);
	setup.api.fault = () => ({ delayMs: 100 });
	assert.notEqual(await pullPublic(setup), before, 'it was waited for');
	const last = await pullPublic(setup);
	setup.api.fault = () => ({ delayMs: 4000 });
	assert.equal(await pullPublic(setup), last, 'it was not');
	setup.api.fault = () => undefined;
	// What was asked for then arrives after all, and is used by the next.
	await until(() => setup.api.underWay === 0);
	assert.notEqual(await pullPublic(setup), last);
});

test('the end of STALE_TTL is the end', { timeout: 20_000 }, async (t) => {
	const setup = await setUp(t, { ...LONG, ...OLD, STALE_TTL: '0.05' });
	const { proxy, api } = setup;
	await pullPublic(setup);
	api.fault = () => 'reset';
	let status = 200;
	await until(() => {
		void ask(proxy, `/auth/v1/token?scope=repository:${NAME}:pull`).then((answer) => (status = answer.status));
		return status === 502;
	});
	assertTold(await ask(proxy, `/auth/v1/token?scope=repository:${NAME}:pull`), UNREACHABLE, proxy);
});

test('while the API is down', { timeout: 30_000 }, async (t) => {
	const setup = await setUp(t, { ...LONG, ...OLD });
	const { proxy, api } = setup;
	const path = (name: string): string => `/auth/v1/token?scope=repository:${name}:pull`;
	await pullPublic(setup);
	const good = await tokenFor(proxy, 'acme/secret', LOGIN);
	assert.equal((await ask(proxy, '/auth/v1/token', { headers: { authorization: basic('no-such-key') } })).status, 401);
	api.fault = () => 'reset';

	await t.test('a name that nobody asked for before is not found by chance', async () =>
		assertTold(await ask(proxy, path('acme/multi-arch')), UNREACHABLE, proxy),
	);
	await t.test('a login is neither confirmed nor refused', async () => {
		for (const key of [upstream.keys.owner, 'no-such-key', upstream.keys.stranger]) {
			for (const address of [path('acme/secret'), path(NAME), '/auth/v1/token']) {
				assertTold(await ask(proxy, address, { headers: { authorization: basic(key) } }), UNREACHABLE, proxy, [key]);
			}
		}
	});
	await t.test('a private name is not answered from what its owner was told', async () =>
		assertTold(await ask(proxy, path('acme/secret')), UNREACHABLE, proxy),
	);
	await t.test('a token that somebody holds goes on', async () => {
		assert.equal((await ask(proxy, '/v2/', { token: good })).status, 200);
		assert.equal((await ask(proxy, '/v2/acme/secret/manifests/latest', { token: good, headers: { accept: ACCEPT } })).status, 200);
	});
	await t.test('what needs no API does not ask it', async () => {
		forgetRequests(setup);
		assert.equal((await ask(proxy, '/ping')).text, 'pong');
		assert.equal((await ask(proxy, '/v2/')).status, 401);
		assert.deepEqual(seen(api), []);
	});
});

test('a refusal of a login is never remembered', { timeout: 20_000 }, async (t) => {
	const setup = await setUp(t, LONG);
	const { proxy, api } = setup;
	for (const authorization of [basic('no-such-key'), 'Bearer no-such-key']) {
		for (const name of [NAME, 'acme/secret']) {
			for (let i = 0; i < 3; i++) {
				forgetRequests(setup);
				assert.equal((await ask(proxy, `/auth/v1/token?scope=repository:${name}:pull`, { headers: { authorization } })).status, 401);
				assert.equal(seen(api, ({ url }) => url.startsWith('/auth/')).length, 1, 'it is asked each time');
			}
		}
	}
	// Nor is a success: a key that is revoked is refused at once.
	await tokenFor(proxy, NAME, LOGIN);
	api.fault = faultAt(/^\/auth/, { status: 401 });
	assert.equal((await ask(proxy, `/auth/v1/token?scope=repository:${NAME}:pull`, { headers: { authorization: LOGIN } })).status, 401);
});

test('the registry hangs, and its challenge is old: tokens are issued all the same', { timeout: 30_000 }, async (t) => {
	const setup = await setUp(t, LONG);
	const { proxy, registry } = setup;
	await pullPublic(setup);
	t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 11 * 60_000 });
	const now = performance.now.bind(performance);
	t.mock.method(performance, 'now', () => now() + 11 * 60_000);
	registry.fault = () => 'hang';
	await tokenFor(proxy, 'acme/multi-arch');
	assert.equal((await ask(proxy, '/v2/')).status, 401);
	assert.ok(logged(proxy, ({ level, msg }) => level === 40 && /registry is unavailable: its challenge is the one remembered/.test(msg)));
});
