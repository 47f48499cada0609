import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { flood } from '../support/flood.ts';
import { basic } from '../support/proxy.ts';
import { startProcess, type ServiceProcess } from '../support/process.ts';
import { ask, seen, tokenFor } from '../support/setup.ts';
import { startRelay, type Relay } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Kind E: nonsense in such numbers that a memory at its default size would be full of it. The real process at its default settings, behind a balancer, so that there are as many addresses as it takes. */

const upstream = await sharedUpstream();
const VICTIMS = ['acme/pinned/1.0.0', 'acme/multi-arch', 'balenalabs/browser-aarch64'];
const tokenPath = (names: string[]): string => `/auth/v1/token?${names.map((name) => `scope=repository:${name}:pull`).join('&')}`;
/** So many that each stays far below its own limit. */
const manyAddresses = (i: number): string => `198.18.${(i >> 8) & 255}.${i & 255}`;
/** In networks of 48 bits of their own. */
const manyNetworks = (i: number): string => `2001:db8:${i.toString(16)}::1`;

/** A token as the API gives it, but for its signature, which is for the registry to look at. */
function unsignedToken(url: string): string {
	const access = [...new URL(url, 'http://x').searchParams.getAll('scope')].map((scope) => ({
		type: 'repository',
		name: scope.split(':')[1],
		actions: ['pull'],
	}));
	const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
	return `${part({})}.${part({ exp: Math.floor(Date.now() / 1000) + 3600, access })}.x`;
}

async function start(t: TestContext, env: Record<string, string> = {}): Promise<{ service: ServiceProcess; api: Relay; registry: Relay }> {
	const [api, registry] = await Promise.all([startRelay(upstream.apiUrl), startRelay(upstream.registryUrl)]);
	t.after(() => Promise.all([api.close(), registry.close()]));
	const service = await startProcess(t, { apiUrl: api.url, registryUrl: registry.url }, { TRUST_PROXY: 'loopback', ...env });
	return { service, api, registry };
}

/** Asks for each name twice, in ways that no answer is remembered for: then it is known to be used. */
async function use(service: ServiceProcess): Promise<void> {
	for (const name of VICTIMS) {
		for (const x of [1, 2]) {
			assert.equal((await ask(service, `${tokenPath([name])}&x=${x}`)).status, 200);
		}
	}
}

test(
	'104 names of nonsense where 100 are kept, and 250 made-up repositories where 200 are, evict nothing that an outage of the API will need',
	{ timeout: 280_000 },
	async (t) => {
		// Less than the defaults, which would take 20,000 queries; those sizes have their test in test/src/cache-bounds.test.ts.
		const { service, api } = await start(t, { RESOLUTION_CACHE_SIZE: '100', TOKEN_CACHE_SIZE: '200' });
		await use(service);
		api.fault = ({ url }) => {
			const headers = { 'content-type': 'application/json' };
			if (url.startsWith('/v7/')) {
				return { status: 200, headers, body: '{"d":[]}' };
			}
			return url.includes(':v2/') ? { status: 200, headers, body: JSON.stringify({ token: unsignedToken(url) }) } : undefined;
		};
		const names = (i: number): string[] => Array.from({ length: 8 }, (_, n) => `acme/made-up-${i}-${n}`);
		assert.deepEqual(Object.keys(await flood(service, 13, (i) => ({ path: tokenPath(names(i)), from: manyAddresses(i) }))), ['200']);
		const raw = (i: number): string => `v2/${String(i).padStart(32, '0')}`;
		assert.deepEqual(Object.keys(await flood(service, 250, (i) => ({ path: tokenPath([raw(i)]), from: manyAddresses(i) }))), ['200']);
		api.fault = () => 'reset';
		for (const name of VICTIMS) {
			assert.equal((await ask(service, `${tokenPath([name])}&x=3`)).status, 200, name);
		}
	},
);

test('one process at its default settings', { timeout: 280_000 }, async (t) => {
	const { service, registry } = await start(t);

	await t.test('1,400 texts of 15 KB around one token make no other’s acceptance forgotten', async () => {
		const victim = await tokenFor(service, VICTIMS[0]!);
		const [other] = (await tokenFor(service, VICTIMS[1]!)).split('~');
		for (const token of [victim, `${other}~${Buffer.from('{"n":{}}').toString('base64url')}`]) {
			assert.equal((await ask(service, '/v2/', { token })).status, 200);
		}
		const padded = (i: number): string => {
			const payload = JSON.stringify({ n: {}, s: String(i).padEnd(10_000 - other!.length, 'x') });
			return `${other}~${Buffer.from(payload).toString('base64url')}`;
		};
		assert.deepEqual(
			await flood(service, 1400, (i) => ({ path: '/v2/', headers: { authorization: `Bearer ${padded(i)}` }, from: '192.0.2.1' })),
			{ 200: 1400 },
		);
		registry.requests = [];
		assert.equal((await ask(service, '/v2/', { token: victim })).status, 200);
		assert.deepEqual(seen(registry), []);
	});

	await t.test('10,100 other networks give nobody a clean slate who is over a limit', async () => {
		const over = { path: '/auth/v1/token', from: '192.0.2.1' };
		// One that fails at the API costs as much as any; so many in a row are over the limit of failed logins.
		const wrong = (i: number): string => basic(`guess-${i}`);
		const statuses = await flood(service, 310, (i) => ({ ...over, headers: { authorization: wrong(i) } }));
		assert.deepEqual(statuses, { 401: 300, 429: 10 });
		// Each is counted for itself and for its network of 48 bits: 20,200 in all.
		assert.deepEqual(await flood(service, 10_100, (i) => ({ path: '/v2/', from: manyNetworks(i) })), { 401: 10_100 });
		assert.deepEqual(await flood(service, 1, () => ({ ...over, headers: { authorization: wrong(999) } })), { 429: 1 });
	});

	await t.test('1,300 networks of 64 bits of one IPv6 /48 have as many pages as ten of them', async () => {
		const statuses = await flood(service, 1300, (i) => ({ path: '/', from: `2001:db8:1:${i.toString(16)}::1` }));
		assert.deepEqual(statuses, { 200: 1200, 429: 100 });
		assert.deepEqual(await flood(service, 1, () => ({ path: '/', from: '2001:db8:2::1' })), { 200: 1 }, 'another has its own');
	});
});
