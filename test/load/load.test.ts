import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { Agent } from 'undici';
import { connectTo } from '../support/raw-client.ts';
import { LONG } from '../support/expect.ts';
import { startProcess, type ServiceProcess } from '../support/process.ts';
import { forgetRequests, seen, tokenFor } from '../support/setup.ts';
import { until } from '../support/until.ts';
import { freePort } from '../upstream/listen.ts';
import { startRelay, type Relay } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* What is much at once, and what is much in the course of time. The service has a process of its own, because each connection has two ends. */

const upstream = await sharedUpstream();
const MANY = 10_000;
/** How many loads of one key there are at the most: src/cache.ts. */
const MAX_LOADS = 3;
const NAME = 'balenalabs/browser-aarch64';
const isQuery = ({ url }: { url: string }): boolean => url.startsWith('/v7/');

interface Loaded {
	service: ServiceProcess;
	api: Relay;
	registry: Relay;
	/** @returns the sum of a metric's values, for labels that contain a text */
	metric(name: string, labels?: string): Promise<number>;
}

async function startLoaded(t: TestContext, env: Record<string, string>): Promise<Loaded> {
	const [api, registry, port] = await Promise.all([startRelay(upstream.apiUrl), startRelay(upstream.registryUrl), freePort()]);
	const service = await startProcess(
		t,
		{ apiUrl: api.url, registryUrl: registry.url },
		{ RATE_LIMIT_MAX: '0', METRICS_PORT: String(port), ...LONG, ...env },
	);
	t.after(() => Promise.all([api.close(), registry.close()]));
	return {
		service,
		api,
		registry,
		async metric(name, labels = '') {
			const exposition = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
			return exposition
				.split('\n')
				.filter((line) => line.startsWith(`registry_proxy_${name}`) && line.includes(labels))
				.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
		},
	};
}

/** Opens connections, some at a time, because a listening socket's queue is not endless. */
async function connectAll(t: TestContext, service: ServiceProcess, count: number): Promise<Socket[]> {
	const sockets: Socket[] = [];
	t.after(() => sockets.forEach((socket) => socket.destroy()));
	while (sockets.length < count) {
		const some = Array.from({ length: Math.min(200, count - sockets.length) }, () => connectTo(service));
		sockets.push(...some);
		await Promise.all(some.map((socket) => once(socket, 'connect')));
	}
	return sockets;
}

function openFilesLimit(): number {
	return Number(/Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
}

test(
	`${MANY} clients ask at once for a name that nobody asked for before: the API is asked once, and again only where it has not answered for two seconds`,
	{ timeout: 120_000, skip: process.platform === 'linux' ? false : 'there is no /proc' },
	async (t) => {
		assert.ok(openFilesLimit() > MANY + 1000, `a process needs more than ${MANY} files here: ulimit -n`);
		const { service, api, metric } = await startLoaded(t, { CLIENT_TIMEOUT: '600' });
		const gate = Promise.withResolvers<void>();
		api.fault = (request) => (isQuery(request) ? { after: gate.promise } : undefined);

		const sockets = await connectAll(t, service, MANY);
		for (const socket of sockets) {
			socket.write(`GET /auth/v1/token?scope=repository:${NAME}:pull HTTP/1.1\r\nHost: ${service.host}\r\nConnection: close\r\n\r\n`);
		}
		const answers = sockets.map(text);
		await until(async () => (await metric('in_flight_requests')) === MANY);
		gate.resolve();

		const tokens = (await Promise.all(answers)).map((answer) => {
			assert.match(answer, /^HTTP\/1\.1 200 /);
			return JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)).token as string;
		});
		assert.equal(new Set(tokens.map((token) => token.split('~')[0])).size, 1);
		// The clients of a slow machine take longer to come than that.
		assert.ok(seen(api, isQuery).length <= MAX_LOADS, `${seen(api, isQuery).length} queries`);
		assert.equal(seen(api, ({ url }) => url.startsWith('/auth/')).length, 1);
		await t.test('and the next pull is answered', async () => void (await tokenFor(service, 'acme/pinned')));
	},
);

test(`${MANY} different names stay within the bounds of memory`, { timeout: 240_000 }, async (t) => {
	const { service, api, metric } = await startLoaded(t, { RESOLUTION_CACHE_SIZE: '500', TOKEN_CACHE_SIZE: '100' });
	// Made-up names are nowhere, which the stand-in need not look up three times for each.
	api.fault = ({ url }) =>
		isQuery({ url }) && !url.includes('browser-aarch64')
			? { status: 200, headers: { 'content-type': 'application/json' }, body: '{"d":[]}' }
			: undefined;
	const agent = new Agent({ connections: 32 });
	t.after(() => agent.destroy());
	const names = Array.from({ length: MANY }, (_, i) => (i % 100 === 0 ? `${NAME}/2.4.0` : `org-${i % 97}/fleet-${i}/${i}.0.0`));
	let at = 0;
	const statuses = new Map<number, number>();
	await Promise.all(
		Array.from({ length: 32 }, async () => {
			while (at < names.length) {
				const { statusCode, body } = await agent.request({
					origin: service.url,
					path: `/auth/v1/token?scope=repository:${names[at++]}:pull`,
					method: 'GET',
				});
				await body.dump();
				statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
			}
		}),
	);
	assert.deepEqual([...statuses], [[200, MANY]]);
	// Those that were found are apart from the others.
	const entries = await metric('cache_entries', 'cache="resolution"');
	assert.ok(entries > 100 && entries <= 2 * 500, `${entries} entries`);
	assert.ok((await metric('cache_entries', 'cache="token"')) <= 100);
	const series = await metric('requests_total');
	assert.ok(series >= MANY);
	await t.test('and the first one is still found', async () => void (await tokenFor(service, `${NAME}/2.4.0`)));
});

test(
	'more than it can carry is refused at once, with a time to come back, and what is refused costs nothing afterwards',
	{ timeout: 60_000 },
	async (t) => {
		const PLACES = 12;
		// As many clients, of whom each would have a share.
		const env = { API_CONCURRENCY: '4', API_QUEUE: String(PLACES - 4), RATE_LIMIT_ALLOW: '127.0.0.1' };
		const { service, api, metric } = await startLoaded(t, env);
		const gate = Promise.withResolvers<void>();
		api.fault = (request) => (isQuery(request) ? { after: gate.promise } : undefined);
		const agent = new Agent({ connections: 1000 });
		t.after(() => agent.destroy());
		const outcomes: { status: number; retryAfter: unknown }[] = [];
		const asked = Array.from({ length: 1000 }, async (_, i) => {
			const { statusCode, headers, body } = await agent.request({
				origin: service.url,
				path: `/auth/v1/token?scope=repository:acme/fleet-${i}:pull`,
				method: 'GET',
			});
			await body.dump();
			outcomes.push({ status: statusCode, retryAfter: headers['retry-after'] });
		});
		// All others, while the API still hangs.
		await until(() => outcomes.length === 1000 - PLACES);
		assert.deepEqual(
			outcomes.filter(({ status, retryAfter }) => status !== 503 || !/^[1-9]\d*$/.test(String(retryAfter))),
			[],
		);
		assert.equal(await metric('in_flight_requests'), PLACES);
		assert.equal((await fetch(`${service.url}/ping`)).status, 200);
		gate.resolve();
		await Promise.all(asked);
		assert.equal(outcomes.filter(({ status }) => status === 200).length, PLACES);
		forgetRequests({ api, registry: api } as never);
		await tokenFor(service, NAME);
		assert.equal(seen(api, isQuery).length, 1, 'nobody else is asked about any more');
	},
);
