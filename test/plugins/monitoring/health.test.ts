import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startProxy } from '../../support/proxy.ts';
import { ask, faultAt, seen, setUp, type Setup } from '../../support/setup.ts';
import type { Fault } from '../../upstream/relay.ts';

/* `/ping` answers whatever the upstreams do; `/ready` says whether they answer. */

const ROWS: { what: string; api?: Fault; registry?: Fault; status: number; says: object }[] = [
	{ what: 'both answer', status: 200, says: { ready: true, draining: false, api: 'ok', registry: 'ok' } },
	{ what: 'the API fails', api: { status: 500 }, status: 503, says: { ready: false, api: 'answers with status 500', registry: 'ok' } },
	{
		what: 'the registry fails',
		registry: { status: 503 },
		status: 503,
		says: { ready: false, api: 'ok', registry: 'answers with status 503' },
	},
	{ what: 'the registry refuses', registry: { status: 404 }, status: 200, says: { ready: true, registry: 'ok' } },
	{ what: 'the API resets connections', api: 'reset', status: 503, says: { ready: false, registry: 'ok' } },
];

const breakUpstreams = ({ api, registry }: Setup, row: (typeof ROWS)[number]): void => {
	api.fault = () => row.api;
	registry.fault = () => row.registry;
};

for (const row of ROWS) {
	test(`${row.what}: ${row.status}`, async (t) => {
		const setup = await setUp(t);
		breakUpstreams(setup, row);
		const answer = await ask(setup.proxy, '/ready');
		assert.equal(answer.status, row.status, answer.text);
		assert.partialDeepStrictEqual(JSON.parse(answer.text), row.says);
		assert.equal(answer.headers['cache-control'], 'no-store');
		assert.equal((await ask(setup.proxy, '/ping')).text, 'pong');
	});
}

test('both upstreams at one address are two all the same', async (t) => {
	const { registry } = await setUp(t);
	registry.fault = ({ url }) => (url === '/ping' ? { status: 200 } : faultAt(/^\/v2/, { status: 503 })({ url } as never));
	const proxy = await startProxy(t, { apiUrl: registry.url, registryUrl: registry.url });
	const answer = await ask(proxy, '/ready');
	assert.partialDeepStrictEqual(JSON.parse(answer.text), { ready: false, api: 'ok', registry: 'answers with status 503' });
});

test('many who ask are one question to each upstream', async (t) => {
	const setup = await setUp(t);
	setup.api.requests = [];
	setup.registry.requests = [];
	await Promise.all(Array.from({ length: 20 }, () => ask(setup.proxy, '/ready')));
	assert.deepEqual([seen(setup.api), seen(setup.registry)], [['GET /ping'], ['GET /v2/']]);
});
