import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { flood, type Wave } from '../support/flood.ts';
import { basic } from '../support/proxy.ts';
import { startProcess, type ServiceProcess } from '../support/process.ts';
import { ask, seen, tokenFor } from '../support/setup.ts';
import { startRelay, type Relay } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Kinds C and F: what looks cheap and is dear, and guesses all at once, against the real process at its default settings. How many there are of each follows from RATE_LIMIT_MAX=6000. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const NOBODY = `sha256:${'0'.repeat(64)}`;
/** The API's own kind of token, which names nothing, so that whatever it is used for has to be resolved. */
const NAMELESS = { authorization: 'Bearer e30.e30.x' };
const isQuery = ({ url }: { url: string }): boolean => url.startsWith('/v7/');
const isLogin = ({ url }: { url: string }): boolean => url.startsWith('/auth/');
const EMPTY = { status: 200, headers: { 'content-type': 'application/json' }, body: '{"d":[]}' };

async function start(t: TestContext): Promise<{ service: ServiceProcess; api: Relay }> {
	const api = await startRelay(upstream.apiUrl);
	t.after(() => api.close());
	// Made-up names are nowhere, and the stand-in need not look; keys that are guesses are none, likewise.
	api.fault = (request) =>
		isQuery(request) && request.url.includes('made-up')
			? EMPTY
			: isLogin(request) && (request.headers.authorization ?? '').startsWith(basic('guess').slice(0, 10))
				? { status: 401 }
				: undefined;
	const service = await startProcess(t, { apiUrl: api.url, registryUrl: upstream.registryUrl }, { TRUST_PROXY: 'loopback' });
	await tokenFor(service, NAME);
	api.requests = [];
	return { service, api };
}

test('no query makes a request cheaper: of 6,100 for a token, 6,000 are answered in a minute', { timeout: 280_000 }, async (t) => {
	const { service } = await start(t);
	const from = '192.0.2.1';
	const rest = ['/blobs/a', '/v2/a/b/manifests/latest', `/v2/${NAME}/blobs/${NOBODY}`, '&scope=repository:a/b/blobs/c:pull'];
	const startedAt = Date.now();
	const statuses = await flood(service, 6100, (i) => ({
		path: `/auth/v1/token?scope=repository:${NAME}:pull&x=${rest[i % rest.length]}${i % 50}`,
		from,
	}));
	assert.ok(statuses[200]! <= 6000 * Math.ceil((Date.now() - startedAt + 1) / 60_000), JSON.stringify(statuses));
	assert.ok(statuses[200]! >= 6000, JSON.stringify(statuses));
	assert.equal((await flood(service, 50, () => ({ path: `/auth/v1/token?scope=repository:${NAME}:pull`, from: '192.0.2.2' })))[200], 50);
});

test('one address may cause a few hundred queries to the API in a minute, whatever it asks with', { timeout: 280_000 }, async (t) => {
	const { service, api } = await start(t);
	const eight = (i: number): string => Array.from({ length: 8 }, (_, n) => `&scope=repository:acme/made-up-${i}-${n}:pull`).join('');
	const waves: ((i: number) => Wave)[] = [
		(i) => ({ path: `/auth/v1/token?${eight(i)}` }),
		(i) => ({ path: `/auth/v1/token?${eight(i)}&x=/v2/a/blobs/b` }),
		(i) => ({ path: `/auth/v1/token?${eight(i)}`, headers: { authorization: basic(upstream.keys.owner) } }),
		(i) => ({
			path: '/auth/v1/token',
			method: 'POST',
			headers: { 'content-type': 'application/x-www-form-urlencoded' },
			body: `service=x&grant_type=password&username=u&password=${upstream.keys.owner}&scope=repository:acme/made-up-${i}:pull`,
		}),
		(i) => ({ path: `/v2/acme/made-up-${i}/manifests/latest`, headers: NAMELESS }),
		(i) => ({ path: `/v2/acme/made-up-${i}/blobs/${NOBODY}`, headers: NAMELESS }),
		(i) => ({ path: `/v2/acme/made-up-${i}/tags/list`, headers: NAMELESS }),
		(i) => ({ path: `/acme/made-up-${i}` }),
		(i) => ({ path: `/?reference=acme/made-up-${i}:1.2.3` }),
	];
	const startedAt = Date.now();
	const statuses = await flood(service, 900, (i) => ({ ...waves[i % waves.length]!(i), from: '192.0.2.1' }));
	const minutes = Math.ceil((Date.now() - startedAt + 1) / 60_000);
	// What may be meant by a name that is nowhere is asked for everybody together, one at a time.
	assert.ok(seen(api, isQuery).length <= 450 * minutes, `${seen(api, isQuery).length} queries`);
	assert.ok((statuses[429] ?? 0) > 500, JSON.stringify(statuses));
	assert.equal((await ask(service, '/auth/v1/token?scope=repository:acme/multi-arch:pull')).status, 200, 'others have their own');
});

test('the registry’s own names are no cheaper: each is a question to the API', { timeout: 280_000 }, async (t) => {
	const { service, api } = await start(t);
	const raw = (i: number): string => `v2/${String(i).padStart(32, '0')}`;
	const startedAt = Date.now();
	await flood(service, 900, (i) => ({ path: `/auth/v1/token?scope=repository:${raw(i)}:pull`, from: '192.0.2.1' }));
	const minutes = Math.ceil((Date.now() - startedAt + 1) / 60_000);
	assert.ok(seen(api, isLogin).length <= 300 * minutes, `${seen(api, isLogin).length} questions`);
});

test('400 guesses at once are no more than in a row', { timeout: 280_000 }, async (t) => {
	const { service, api } = await start(t);
	// Seen before, so it need not be counted.
	const good = { path: '/auth/v1/token', headers: { authorization: basic(upstream.keys.owner) } };
	assert.deepEqual(await flood(service, 1, () => ({ ...good, from: '192.0.2.1' })), { 200: 1 });
	const rows: Record<string, { key: (i: number) => string; from: (i: number) => string; asked: number }> = {
		'at one key': { key: () => 'guess', from: () => '192.0.2.1', asked: 30 },
		'at one key, from as many addresses': { key: () => 'guess2', from: (i) => `198.51.${i >> 8}.${i & 255}`, asked: 30 },
		'at as many keys': { key: (i) => `guess-${i}`, from: () => '192.0.2.3', asked: 300 },
	};
	for (const [name, { key, from, asked }] of Object.entries(rows)) {
		api.requests = [];
		const statuses = await Promise.all(
			Array.from({ length: 400 }, (_, i) =>
				ask(service, '/auth/v1/token', { headers: { authorization: basic(key(i)), 'x-forwarded-for': from(i) } }),
			),
		);
		assert.equal(seen(api, isLogin).length, asked, name);
		assert.equal(statuses.filter(({ status }) => status === 429).length, 400 - asked, name);
		assert.deepEqual(
			await flood(service, 1, () => ({ ...good, from: from(0) })),
			{ 200: 1 },
			'good ones that were seen before are let through',
		);
	}
});
