import assert from 'node:assert/strict';
import { request, type ClientRequest } from 'node:http';
import { test } from 'node:test';
import { ACCEPT } from '../support/proxy.ts';
import { ask, assertError, faultAt, forgetRequests, seen, setUp, tokenFor, type Answer, type Setup } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { assertTold, LONG, type Told } from '../support/expect.ts';
import { until } from '../support/until.ts';

/* What waits for an upstream is bounded in number and in time, and one upstream that hangs does not stop what can be answered without it. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const IMAGE = imageOf(upstream, 'acme/pinned', '1.0.0');
const LAYER = IMAGE.platforms[0]!.layers[0]!.digest;
const BUSY: Told = { status: 503, code: 'UNAVAILABLE', words: /busy/, retryAfter: '1' };

const blob = (i: number): string => `/v2/${NAME}/blobs/sha256:${String(i).padStart(64, '0')}`;
const fleet = (i: number): string => `/auth/v1/token?scope=repository:acme/fleet-${i}:pull`;

/** One address may have all there is. How it is shared between several: test/attacks/fairness.test.ts. */
const NO_SHARES = { RATE_LIMIT_ALLOW: '127.0.0.1' };

/** Starts a request that is not expected to be answered. It has to be destroyed, because the service does not end before it. */
function start({ proxy }: Setup, path: string, token?: string): ClientRequest {
	const outgoing = request(proxy.url + path, { agent: false, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
	outgoing.on('error', () => undefined).end();
	return outgoing;
}

/** What answers without the upstream that hangs. */
async function assertAlive({ proxy }: Setup): Promise<void> {
	assert.equal((await ask(proxy, '/ping')).text, 'pong');
	assert.equal((await ask(proxy, '/v2/')).status, 401);
	assertError(await ask(proxy, `/v2/${NAME}/manifests/latest`), 401, 'UNAUTHORIZED');
}

test('the registry hangs', { timeout: 60_000 }, async (t) => {
	await t.test('so many are asked, so many wait, and the rest is refused at once', { timeout: 20_000 }, async (t) => {
		const setup = await setUp(t, { ...LONG, ...NO_SHARES, REGISTRY_CONNECTIONS: '3', REGISTRY_QUEUE: '2' });
		const { proxy, registry } = setup;
		const token = await tokenFor(proxy, NAME);
		registry.fault = faultAt(/\/blobs\//, 'hang');
		const clients = Array.from({ length: 5 }, (_, i) => start(setup, blob(i), token));
		await until(() => registry.underWay === 3);
		const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(proxy, blob(5 + i), { token })));
		const refused = answers.filter(({ status }) => status !== 503);
		assert.deepEqual(refused, []);
		for (const answer of answers) {
			assertTold(answer, BUSY, proxy);
		}
		// A manifest would need the registry too.
		assertTold(await ask(proxy, `/v2/${NAME}/manifests/latest`, { token, headers: { accept: ACCEPT } }), BUSY, proxy);
		assert.equal(registry.underWay, 3);
		await assertAlive(setup);
		// A token does not.
		await tokenFor(proxy, 'acme/multi-arch');
		await t.test(
			'places become free when clients go away: those of the waiting, and those of the asked, even before the headers',
			async () => {
				clients.slice(3).forEach((client) => client.destroy());
				registry.fault = () => undefined;
				forgetRequests(setup);
				await until(() => proxy.log.filter((line) => /"aborted":true/.test(line)).length === 2);
				// Two places for three: one is refused at once.
				const next = [0, 1, 2].map((i) => ask(proxy, blob(i), { token }));
				assertTold(await Promise.race(next), BUSY, proxy);
				assert.equal(registry.underWay, 3);
				clients.slice(0, 3).forEach((client) => client.destroy());
				assert.deepEqual((await Promise.all(next)).map(({ status }) => status).sort(), [404, 404, 503]);
				await until(() => registry.underWay === 0);
				assert.deepEqual(
					seen(registry, ({ url }) => url.includes('/blobs/')).length,
					2,
					'those who went away while they waited were never sent',
				);
			},
		);
		await t.test('and it recovers at once', async () =>
			assert.equal((await ask(proxy, `/v2/${NAME}/blobs/${LAYER}`, { token })).status, 200),
		);
	});

	await t.test('a wait for a connection ends after REGISTRY_CONNECT_TIMEOUT', { timeout: 20_000 }, async (t) => {
		const setup = await setUp(t, { ...LONG, REGISTRY_CONNECTIONS: '1', REGISTRY_CONNECT_TIMEOUT: '0.2' });
		const { proxy, registry } = setup;
		const token = await tokenFor(proxy, NAME);
		registry.fault = faultAt(/\/blobs\//, 'hang');
		const client = start(setup, blob(0), token);
		await until(() => registry.underWay === 1);
		for (const answer of await Promise.all([
			ask(proxy, blob(1), { token }),
			ask(proxy, `/v2/${NAME}/manifests/latest`, { token, headers: { accept: ACCEPT } }),
		])) {
			assertTold(answer, BUSY, proxy);
		}
		assert.equal(registry.underWay, 1);
		client.destroy();
	});

	await t.test('REGISTRY_QUEUE=0 refuses what would have to wait, and nothing else', { timeout: 20_000 }, async (t) => {
		const setup = await setUp(t, { ...LONG, REGISTRY_CONNECTIONS: '1', REGISTRY_QUEUE: '0' });
		const { proxy, registry } = setup;
		const token = await tokenFor(proxy, NAME);
		assert.equal((await ask(proxy, `/v2/${NAME}/blobs/${LAYER}`, { token })).status, 200);
		registry.fault = faultAt(/\/blobs\//, 'hang');
		const client = start(setup, blob(0), token);
		await until(() => registry.underWay === 1);
		assertTold(await ask(proxy, blob(1), { token }), BUSY, proxy);
		client.destroy();
	});
});

test('the API hangs', { timeout: 60_000 }, async (t) => {
	const env = { ...LONG, ...NO_SHARES, API_CONCURRENCY: '3', API_QUEUE: '2' };

	await t.test('so many are asked, so many wait, and the rest is refused at once', { timeout: 20_000 }, async (t) => {
		const setup = await setUp(t, env);
		const { proxy, api } = setup;
		const token = await tokenFor(proxy, NAME);
		api.fault = () => 'hang';
		const waiting = Array.from({ length: 5 }, (_, i) => start(setup, fleet(i)));
		await until(() => api.underWay === 3);
		const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(proxy, fleet(5 + i))));
		for (const answer of answers) {
			assertTold(answer, BUSY, proxy);
		}
		assert.equal(api.underWay, 3);
		await assertAlive(setup);
		await t.test('a pull that has its token goes on, and so does one of a name that is remembered', async () => {
			for (const bearer of [token, await tokenFor(proxy, NAME)]) {
				assert.equal((await ask(proxy, '/v2/', { token: bearer })).status, 200);
				assert.equal((await ask(proxy, `/v2/${NAME}/manifests/latest`, { token: bearer, headers: { accept: ACCEPT } })).status, 200);
				assert.equal((await ask(proxy, `/v2/${NAME}/blobs/${LAYER}`, { token: bearer })).status, 200);
			}
			assert.equal(api.underWay, 3);
		});
		waiting.forEach((client) => client.destroy());
	});

	await t.test('a wait and its answer together end after API_TIMEOUT', { timeout: 20_000 }, async (t) => {
		const setup = await setUp(t, { ...env, API_TIMEOUT: '0.5' });
		const { proxy, api } = setup;
		api.fault = () => 'hang';
		const answers = await Promise.all(Array.from({ length: 5 }, (_, i) => ask(proxy, fleet(i))));
		for (const answer of answers) {
			assertTold(answer, { status: 504, code: 'UNAVAILABLE', words: /API did not answer in time/ }, proxy);
		}
		assert.ok(api.requests.length <= 5);
		// And the places are free again.
		api.fault = () => undefined;
		await until(() => api.underWay === 0);
		await tokenFor(proxy, NAME);
	});
});

test('both hang: what needs neither is answered', { timeout: 20_000 }, async (t) => {
	const setup = await setUp(t, LONG);
	const { proxy, api, registry } = setup;
	await tokenFor(proxy, NAME);
	api.fault = () => 'hang';
	registry.fault = () => 'hang';
	await assertAlive(setup);
	await tokenFor(proxy, NAME);
});

/** How clients go away before there is an answer, by what they wait for. */
const ABORTS: Record<string, (token: string) => { path: string; token?: string }> = {
	'a blob': (token) => ({ path: `/v2/${NAME}/blobs/${LAYER}`, token }),
	'a manifest by tag': (token) => ({ path: `/v2/${NAME}/manifests/latest`, token }),
	'a manifest by digest': (token) => ({ path: `/v2/${NAME}/manifests/${IMAGE.digest}`, token }),
	'a part of the referrers': (token) => ({ path: `/v2/${NAME}/referrers/${IMAGE.digest}`, token }),
	'a ping': (token) => ({ path: '/v2/', token }),
	tags: (token) => ({ path: `/v2/${NAME}/tags/list`, token }),
};

test('a client that goes away before the headers takes its request to the registry with it:', { timeout: 60_000 }, async (t) => {
	for (const [kind, how] of Object.entries(ABORTS)) {
		await t.test(kind, { timeout: 20_000 }, async (t) => {
			const setup = await setUp(t, LONG);
			const { proxy, registry } = setup;
			const { path, token } = how(await tokenFor(proxy, NAME));
			registry.fault = () => 'hang';
			const client = start(setup, path, token);
			await until(() => registry.underWay === 1);
			client.destroy();
			await until(() => registry.underWay === 0);
			await until(() => hasBrokenOff(setup, 499));
			assert.ok(!setup.proxy.log.some((line) => (JSON.parse(line) as { level: number }).level >= 50), 'that is no error of anybody’s');
		});
	}
});

test('a client that goes away in the middle of a blob takes its request to the registry with it', { timeout: 20_000 }, async (t) => {
	const setup = await setUp(t, LONG);
	const { proxy, registry } = setup;
	const token = await tokenFor(proxy, NAME);
	registry.fault = faultAt(/\/blobs\//, { hangAfterBytes: 1000 });
	const client = start(setup, `/v2/${NAME}/blobs/${LAYER}`, token);
	client.once('response', (response) => response.on('error', () => undefined).once('data', () => client.destroy()));
	// It may be over before one looks.
	await until(() => seen(registry, ({ url }) => url.includes('/blobs/')).length === 1);
	await until(() => registry.underWay === 0);
	await until(() => hasBrokenOff(setup, 200));
});

test('identical requests share an answer: the first who goes away does not take it from the others', { timeout: 20_000 }, async (t) => {
	const setup = await setUp(t, LONG);
	const { proxy, api, registry } = setup;
	const token = await tokenFor(proxy, NAME);
	const path = `/v2/${NAME}/manifests/latest`;
	for (const [relay, address, bearer] of [
		[registry, path, token],
		[api, '/auth/v1/token?scope=repository:acme/multi-arch:pull', undefined],
	] as const) {
		forgetRequests(setup);
		const gate = Promise.withResolvers<void>();
		relay.fault = () => ({ after: gate.promise });
		const first = start(setup, address, bearer);
		await until(() => relay.underWay === 1);
		const others: Promise<Answer>[] = [1, 2, 3].map(() => ask(proxy, address, { ...(bearer === undefined ? {} : { token: bearer }) }));
		await until(() => proxy.app.requests.inFlight === 4);
		first.destroy();
		await until(() => proxy.app.requests.inFlight === 3);
		gate.resolve();
		assert.deepEqual(
			(await Promise.all(others)).map(({ status }) => status),
			[200, 200, 200],
		);
		const asked = seen(relay);
		assert.equal(new Set(asked).size, asked.length, `nothing is asked twice: ${asked.join(', ')}`);
	}
});

/** Whether there is a line of a request that was broken off with a status. */
function hasBrokenOff({ proxy }: Setup, status: number): boolean {
	return proxy.log.some((text) => {
		const line = JSON.parse(text) as { msg: string; status?: number; aborted?: boolean };
		return line.msg === 'request' && line.aborted === true && line.status === status;
	});
}
