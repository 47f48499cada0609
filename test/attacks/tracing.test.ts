import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { httpAnswer, startBrokenServer } from '../support/broken-server.ts';
import { basic } from '../support/proxy.ts';
import { startProcess, type ServiceProcess } from '../support/process.ts';
import { ask, tokenFor } from '../support/setup.ts';
import { until } from '../support/until.ts';
import { imageOf } from '../upstream/index.ts';
import { startRelay, type Relay } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* What a client could do to an operator, or learn, by way of tracing: the real process, which exports to a real receiver of OTLP. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const BLOB = imageOf(upstream, 'acme/pinned', '1.0.0').platforms[0]!.layers[0]!.digest;
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SECRET = 'wJalrXUtnFEMIsecret';

interface Span {
	traceId: string;
	attributes: { key: string; value: { stringValue?: string } }[];
	traceState?: string;
}

interface Traced {
	service: ServiceProcess;
	api: Relay;
	registry: Relay;
	spans: Span[];
	/** @returns the spans so far and those of one more request, which is exported after all before it */
	settled(): Promise<Span[]>;
}

/** @param env settings by their variables, those of OpenTelemetry included */
async function startTraced(t: TestContext, env: Record<string, string> = {}): Promise<Traced> {
	const spans: Span[] = [];
	const receiver = createServer((request, response) => {
		void json(request).then((body) => {
			const { resourceSpans = [] } = body as { resourceSpans?: { scopeSpans: { spans: Span[] }[] }[] };
			spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)));
			response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
		});
	}).listen(0, '127.0.0.1');
	await once(receiver, 'listening');
	const [api, registry] = await Promise.all([startRelay(upstream.apiUrl), startRelay(upstream.registryUrl)]);
	t.after(async () => {
		receiver.closeAllConnections();
		receiver.close();
		await Promise.all([api.close(), registry.close()]);
	});
	const service = await startProcess(
		t,
		{ apiUrl: api.url, registryUrl: registry.url },
		{
			OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`,
			OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
			OTEL_BSP_SCHEDULE_DELAY: '20',
			...env,
		},
	);
	return {
		service,
		api,
		registry,
		spans,
		async settled() {
			service.child.kill('SIGTERM');
			await service.ended;
			return spans;
		},
	};
}

const attributesOf = (spans: Span[], name: string): (string | undefined)[] =>
	spans.flatMap(({ attributes }) => attributes.filter(({ key }) => key === name).map(({ value }) => value.stringValue));

test('the queries of signed URLs that are followed, and of logins, are in no span', { timeout: 60_000 }, async (t) => {
	const storage = await startBrokenServer(t, (socket) => socket.write(httpAnswer('200 OK', {}, 'blob')));
	const { service, registry, settled } = await startTraced(t, { FOLLOW_REDIRECTS: 'http', FOLLOW_REDIRECTS_ALLOW: '127.0.0.0/8' });
	const token = await tokenFor(service, NAME);
	registry.fault = ({ url = '' }) =>
		url.includes('/blobs/')
			? { status: 307, headers: { location: `${storage.url}/bucket/object?X-Amz-Signature=${SECRET}&sig=${SECRET}` }, body: '' }
			: undefined;
	assert.equal((await ask(service, `/v2/${NAME}/blobs/${BLOB}?_state=${SECRET}`, { token })).text, 'blob');
	assert.equal(
		(await ask(service, `/auth/v1/token?account=${SECRET}`, { headers: { authorization: basic(upstream.keys.owner) } })).status,
		200,
	);
	assert.ok(storage.heads.some((head) => head.includes(SECRET)));
	const spans = await settled();
	assert.ok(attributesOf(spans, 'url.full').includes(`${storage.url}/bucket/object?REDACTED`), JSON.stringify(spans));
	assert.doesNotMatch(JSON.stringify(spans), new RegExp(SECRET));
	assert.deepEqual(new Set(attributesOf(spans, 'url.query').filter(Boolean)), new Set(['REDACTED']));
});

test(
	'of what a client says, the upstreams are told to which trace its request belongs, and nothing else',
	{ timeout: 60_000 },
	async (t) => {
		const { service, api, registry, settled } = await startTraced(t);
		const headers = {
			traceparent: `00-${TRACE}-b7ad6b7169203331-01`,
			tracestate: 'evil=1',
			baggage: 'evil=1',
			b3: `${TRACE}-b7ad6b7169203331-1`,
		};
		const { text } = await ask(service, `/auth/v1/token?scope=repository:${NAME}:pull`, { headers });
		await ask(service, `/v2/${NAME}/blobs/${BLOB}`, { headers, token: JSON.parse(text).token as string });
		const seen: IncomingHttpHeaders[] = [...api.requests, ...registry.requests].map((request) => request.headers);
		assert.ok(seen.filter(({ traceparent }) => String(traceparent).includes(TRACE)).length >= 3, 'of the API and of the registry');
		assert.deepEqual(
			seen.filter(({ tracestate, baggage, b3 }) => (tracestate ?? baggage ?? b3) !== undefined),
			[],
		);
		assert.deepEqual(
			(await settled()).filter(({ traceState }) => (traceState ?? '') !== ''),
			[],
		);
	},
);

test('what is sampled is decided here, whatever flag and id a client chooses', { timeout: 60_000 }, async (t) => {
	const { service, settled } = await startTraced(t, {
		OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
		OTEL_TRACES_SAMPLER_ARG: '0.000001',
	});
	// The second is one that a sampler by ratio would always take.
	for (const id of [TRACE, `${'0'.repeat(31)}1`]) {
		await ask(service, '/v2/', { headers: { traceparent: `00-${id}-b7ad6b7169203331-01` } });
	}
	assert.deepEqual(await settled(), []);
});

test('a user agent of 15 KB is cut in spans too', { timeout: 60_000 }, async (t) => {
	const { service, settled } = await startTraced(t);
	await ask(service, '/v2/', { headers: { 'user-agent': 'x'.repeat(15_000) } });
	const agents = attributesOf(await settled(), 'user_agent.original');
	assert.ok(agents.length > 0);
	assert.ok(
		agents.every((agent) => agent!.length <= 1000),
		'all are short',
	);
});

test('switched off, nothing of it is there', { timeout: 60_000 }, async (t) => {
	const { service, api } = await startTraced(t, { OTEL_EXPORTER_OTLP_ENDPOINT: '' });
	await ask(service, `/auth/v1/token?scope=repository:${NAME}:pull`, {
		headers: { traceparent: `00-${TRACE}-b7ad6b7169203331-01`, baggage: 'x=1' },
	});
	await until(() => api.requests.length > 0);
	assert.ok(api.requests.every(({ headers }) => headers['traceparent'] === undefined && headers['baggage'] === undefined));
});
