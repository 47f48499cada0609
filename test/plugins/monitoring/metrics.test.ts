import assert from 'node:assert/strict';
import { request, type ClientRequest } from 'node:http';
import { test, type TestContext } from 'node:test';
import { ACCEPT, basic } from '../../support/proxy.ts';
import { ask, faultAt, setUp, tokenFor, type Answer, type Setup } from '../../support/setup.ts';
import { imageOf } from '../../upstream/index.ts';
import { freePort } from '../../upstream/listen.ts';
import type { Relay } from '../../upstream/relay.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { LONG } from '../../support/expect.ts';
import { sendRaw } from '../../support/raw-client.ts';
import { until } from '../../support/until.ts';

/* Whatever breaks can be seen in the metrics: which fault moves which one, and no other of the same name. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const BLOB = `/v2/${NAME}/blobs/${imageOf(upstream, 'acme/pinned', '1.0.0').platforms[0]!.layers[0]!.digest}`;
const MANIFEST = `/v2/${NAME}/manifests/latest`;
const TOKEN_OF_SECRET = '/auth/v1/token?scope=repository:acme/secret:pull';
const login = { headers: { authorization: basic(upstream.keys.owner) } };

/** @returns the series of a metric that are not 0, as in `{limit="address"}`: value */
async function series(port: string, metric: string): Promise<Record<string, number>> {
	const exposition = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
	const lines = exposition.split('\n').filter((line) => line.startsWith(`registry_proxy_${metric}{`));
	return Object.fromEntries(
		lines
			.map((line): [string, number] => [line.slice(line.indexOf('{'), line.indexOf('}') + 1), Number(line.split(' ').at(-1))])
			.filter(([, value]) => value > 0),
	);
}

/** Asks for a token that needs the API, and what comes of it does not matter. */
const askApi = ({ proxy }: Setup): Promise<unknown> => ask(proxy, TOKEN_OF_SECRET, login);
const askRegistry = ({ proxy }: Setup, token: string): Promise<unknown> => ask(proxy, MANIFEST, { token, headers: { accept: ACCEPT } });

const requestBlob = ({ proxy }: Setup, token: string): ClientRequest =>
	request(proxy.url + BLOB, { headers: { authorization: `Bearer ${token}` } });

/** Does something while an upstream does not answer a request, which is given up then. */
async function whileOneHangs(relay: Relay, waiting: ClientRequest, run: () => Promise<unknown>): Promise<void> {
	relay.fault = () => 'hang';
	waiting.on('error', () => undefined).end();
	await until(() => relay.underWay === 1);
	await run();
	waiting.destroy();
}

/** Asks for one thing after another, until it was one too many. */
async function untilLimited(askFor: (i: number) => Promise<Answer>): Promise<void> {
	for (let i = 0, status = 0; status !== 429; i++) {
		status = (await askFor(i)).status;
	}
}

/** `run` is called when the service has been asked for a token once. `series`: what the metric holds then, exactly. */
const ROWS: Record<
	string,
	{ metric: string; series: Record<string, number>; env?: Record<string, string>; run(setup: Setup, token: string): Promise<unknown> }
> = {
	'the API hangs': {
		metric: 'upstream_errors_total',
		series: { '{upstream="api",reason="timeout"}': 1 },
		env: { API_TIMEOUT: '3' },
		run: (setup) => ((setup.api.fault = faultAt(/^\/v7/, 'hang')), askApi(setup)),
	},
	'the API hangs, asked for a token': {
		metric: 'upstream_errors_total',
		series: { '{upstream="api",reason="timeout"}': 1 },
		env: { API_TIMEOUT: '3' },
		run: (setup) => ((setup.api.fault = faultAt(/^\/auth/, 'hang')), askApi(setup)),
	},
	'the API resets connections': {
		metric: 'upstream_errors_total',
		series: { '{upstream="api",reason="connection"}': 1 },
		run: (setup) => ((setup.api.fault = faultAt(/^\/auth/, 'reset')), askApi(setup)),
	},
	'the API answers 500': {
		metric: 'upstream_errors_total',
		series: { '{upstream="api",reason="status"}': 1 },
		run: (setup) => ((setup.api.fault = faultAt(/^\/v7/, { status: 500 })), askApi(setup)),
	},
	'the API is asked too much': {
		metric: 'upstream_errors_total',
		series: { '{upstream="api",reason="overloaded"}': 1 },
		env: { API_CONCURRENCY: '1', API_QUEUE: '0' },
		run: (setup) => whileOneHangs(setup.api, request(setup.proxy.url + TOKEN_OF_SECRET), () => askApi(setup)),
	},
	'the API is asked too much, by a page': {
		metric: 'upstream_errors_total',
		series: { '{upstream="api",reason="overloaded"}': 1 },
		env: { API_CONCURRENCY: '1', API_QUEUE: '0' },
		run: (setup) =>
			whileOneHangs(setup.api, request(setup.proxy.url + TOKEN_OF_SECRET), () =>
				ask(setup.proxy, '/acme/several', { headers: { accept: 'text/html' } }),
			),
	},
	'the registry hangs': {
		metric: 'upstream_errors_total',
		series: { '{upstream="registry",reason="timeout"}': 1 },
		env: { REGISTRY_HEADERS_TIMEOUT: '0.3' },
		run: (setup, token) => ((setup.registry.fault = () => 'hang'), askRegistry(setup, token)),
	},
	'the registry resets connections': {
		metric: 'upstream_errors_total',
		series: { '{upstream="registry",reason="connection"}': 1 },
		run: (setup, token) => ((setup.registry.fault = () => 'reset'), askRegistry(setup, token)),
	},
	'the registry breaks off in a blob': {
		metric: 'upstream_errors_total',
		series: { '{upstream="registry",reason="connection"}': 1 },
		run: (setup, token) => ((setup.registry.fault = faultAt(/blobs/, { truncateAfterBytes: 10 })), ask(setup.proxy, BLOB, { token })),
	},
	'the registry answers 503': {
		metric: 'upstream_errors_total',
		series: { '{upstream="registry",reason="status"}': 1 },
		run: (setup, token) => ((setup.registry.fault = () => ({ status: 503 })), askRegistry(setup, token)),
	},
	'the registry wants to be left alone': {
		metric: 'upstream_errors_total',
		series: { '{upstream="registry",reason="limited"}': 1 },
		run: (setup, token) => ((setup.registry.fault = () => ({ status: 429 })), askRegistry(setup, token)),
	},
	'the API wants to be left alone': {
		metric: 'upstream_errors_total',
		series: { '{upstream="api",reason="limited"}': 1 },
		run: (setup) => ((setup.api.fault = faultAt(/^\/v7/, { status: 429 })), askApi(setup)),
	},
	'what cannot be read as a request': {
		metric: 'requests_total',
		series: { '{kind="token",status="200"}': 1, '{kind="unreadable",status="400"}': 2, '{kind="unreadable",status="431"}': 1 },
		async run({ proxy }) {
			await sendRaw(proxy, 'G=T / HTTP/1.1\r\n\r\n');
			await sendRaw(proxy, '\x16\x03\x01\0\0');
			await sendRaw(proxy, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`);
		},
	},
	'the registry is asked too much': {
		metric: 'upstream_errors_total',
		series: { '{upstream="registry",reason="overloaded"}': 1 },
		env: { REGISTRY_CONNECTIONS: '1', REGISTRY_QUEUE: '0' },
		run: (setup, token) => whileOneHangs(setup.registry, requestBlob(setup, token), () => askRegistry(setup, token)),
	},
	'the registry refuses, as registries do': {
		metric: 'upstream_errors_total',
		series: {},
		run: (setup, token) => ask(setup.proxy, `/v2/${NAME}/blobs/sha256:${'0'.repeat(64)}`, { token }),
	},
	'a client goes away before there is an answer': {
		metric: 'requests_total',
		series: { '{kind="token",status="200"}': 1, '{kind="blob",status="499"}': 1 },
		async run(setup, token) {
			await whileOneHangs(setup.registry, requestBlob(setup, token), async () => undefined);
			await until(() => setup.registry.underWay === 0);
		},
	},
	'and that is no error of the registry': {
		metric: 'upstream_errors_total',
		series: {},
		run: (setup, token) => ROWS['a client goes away before there is an answer']!.run(setup, token),
	},
	'nor is it when it goes away in the middle of a blob': {
		metric: 'upstream_errors_total',
		series: {},
		async run(setup, token) {
			setup.registry.fault = faultAt(/blobs/, { status: 200, body: 'x'.repeat(20_000_000) });
			const client = requestBlob(setup, token).on('error', () => undefined);
			client.once('response', (response) => response.on('error', () => undefined).once('data', () => client.destroy())).end();
			// It may be over before one looks.
			await until(() => setup.registry.requests.some(({ url }) => url.includes('/blobs/')));
			await until(() => setup.registry.underWay === 0);
		},
	},
	'an address has used up its requests': {
		metric: 'rate_limited_total',
		series: { '{limit="address"}': 2 },
		env: { RATE_LIMIT_MAX: '1' },
		run: async (setup) => [await askApi(setup), await askApi(setup)],
	},
	'an address has opened too many pages': {
		metric: 'rate_limited_total',
		series: { '{limit="page"}': 1 },
		env: { RATE_LIMIT_MAX: '1' },
		run: async ({ proxy }) => [await ask(proxy, '/'), await ask(proxy, '/')],
	},
	'an address has asked for too many new names': {
		metric: 'rate_limited_total',
		series: { '{limit="name"}': 1 },
		env: { RATE_LIMIT_MAX: '100' },
		run: ({ proxy }) => untilLimited((i) => ask(proxy, `/auth/v1/token?scope=repository:acme/made-up-${i}:pull`)),
	},
	'and has had pages made for them': {
		metric: 'rate_limited_total',
		series: { '{limit="name"}': 1 },
		env: { RATE_LIMIT_MAX: '100' },
		run: ({ proxy }) => untilLimited((i) => ask(proxy, `/acme/made-up-${i}`)),
	},
	'an address has had too many digests looked for': {
		metric: 'rate_limited_total',
		series: { '{limit="search"}': 1 },
		env: { RATE_LIMIT_MAX: '100' },
		async run({ proxy }) {
			const token = await tokenFor(proxy, 'acme/pinned');
			await untilLimited((i) => ask(proxy, `/v2/acme/pinned/blobs/sha256:${String(i).padStart(64, '0')}`, { token }));
		},
	},
	'a login has failed too often': {
		metric: 'rate_limited_total',
		series: { '{limit="login"}': 1 },
		env: { LOGIN_FAILURES_MAX: '1' },
		async run({ proxy }) {
			for (let i = 0; i < 2; i++) {
				await ask(proxy, '/auth/v1/token', { headers: { authorization: basic('bad') } });
			}
		},
	},
	'the API is down, and what is remembered is too old': {
		metric: 'cache_requests_total',
		series: {
			'{cache="resolution",result="miss"}': 2,
			'{cache="resolution",result="stale"}': 1,
			'{cache="token",result="miss"}': 2,
			'{cache="token",result="stale"}': 1,
		},
		env: { RESOLUTION_TTL: '0.001', TOKEN_TTL: '0.001' },
		run: (setup) => ((setup.api.fault = () => 'reset'), tokenFor(setup.proxy, NAME)),
	},
};

for (const [fault, row] of Object.entries(ROWS)) {
	test(fault, { timeout: 20_000 }, async (t: TestContext) => {
		const port = String(await freePort());
		const setup = await setUp(t, { ...LONG, METRICS_PORT: port, ...row.env });
		const token = await tokenFor(setup.proxy, NAME);
		await row.run(setup, token).catch(() => 'broken off');
		// Counted when an answer has ended, which its client may know a little earlier: the token's, and that of at least one more.
		await until(async () => Object.values(await series(port, 'requests_total')).reduce((sum, count) => sum + count, 0) >= 2);
		let last = {};
		const isThere = async (): Promise<boolean> =>
			JSON.stringify(sorted((last = await series(port, row.metric)))) === JSON.stringify(sorted(row.series));
		await until(isThere, { seconds: 10 }).catch(() => assert.deepEqual(last, row.series));
	});
}

const sorted = (of: Record<string, number>): [string, number][] => Object.entries(of).sort(([a], [b]) => a.localeCompare(b));
