import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, suite, test, type TestContext } from 'node:test';
import packageJson from '../../package.json' with { type: 'json' };
import { ACCEPT, basic } from '../support/proxy.ts';
import { startProcess, type ServiceProcess } from '../support/process.ts';
import { run } from '../support/run.ts';
import { ask, tokenFor } from '../support/setup.ts';
import { until } from '../support/until.ts';
import { freePort } from '../upstream/listen.ts';
import { startRelay } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* What the image runs: `npm run build`'s few files, away from the sources and from node_modules. All else is tested on the sources. */

suite('the built service', { timeout: 120_000 }, async () => {
	const upstream = await sharedUpstream();
	const directory = mkdtempSync(join(tmpdir(), 'built-'));
	before(async () => {
		const { code, printed } = await run(process.execPath, [join(import.meta.dirname, '../../deploy/build.ts'), directory]);
		assert.equal(code, 0, printed);
	});
	after(() => rmSync(directory, { recursive: true }));

	const start = (t: TestContext, env: Record<string, string> = {}, apiUrl = upstream.apiUrl): Promise<ServiceProcess> =>
		startProcess(t, { apiUrl, registryUrl: upstream.registryUrl }, env, join(directory, 'server.mjs'));

	const PULLS: Record<string, [name: string, authorization?: string]> = {
		'a public image': ['acme/pinned'],
		'a private image': ['acme/secret/1.0.0', basic(upstream.keys.owner)],
		'a block for several platforms': ['acme/display'],
	};
	for (const [what, [name, authorization]] of Object.entries(PULLS)) {
		test(`pulls ${what}`, async (t) => {
			const service = await start(t);
			const token = await tokenFor(service, name, authorization);
			const get = async (path: string): Promise<any> => {
				const answer = await ask(service, `/v2/${name}/${path}`, { token, headers: { accept: ACCEPT } });
				assert.ok(answer.status === 200 || (answer.status === 307 && path.startsWith('blobs/')), answer.text);
				return answer.headers['content-type']?.includes('json') === true ? JSON.parse(answer.text) : undefined;
			};
			const top = await get('manifests/latest');
			const { config, layers } = top.manifests === undefined ? top : await get(`manifests/${top.manifests[0].digest}`);
			for (const { digest } of [config, ...layers]) {
				await get(`blobs/${digest}`);
			}
		});
	}

	test('tells the API its version, shows pages and metrics, and ends with its last line', async (t) => {
		const api = await startRelay(upstream.apiUrl);
		t.after(() => api.close());
		const metrics = await freePort();
		const service = await start(t, { METRICS_PORT: String(metrics) }, api.url);
		assert.match((await ask(service, '/acme/pinned', { headers: { accept: 'text/html' } })).text, /docker pull .*acme\/pinned/);
		const agents = new Set(api.requests.map(({ headers }) => headers['user-agent']));
		assert.ok(
			[...agents].some((agent) => agent?.startsWith(`${packageJson.name}/${packageJson.version} `) === true),
			[...agents].join(),
		);
		assert.match((await ask({ url: `http://127.0.0.1:${metrics}` }, '/metrics')).text, /^registry_proxy_requests_total\{/m);
		service.child.kill('SIGTERM');
		assert.deepEqual(await service.ended, [0, null]);
		await until(() => service.lines.some(({ msg }) => msg.startsWith('ending')));
	});

	test('sends traces', async (t) => {
		const bodies: string[] = [];
		const receiver = createServer((request, response) => {
			void text(request).then((body) => {
				bodies.push(body);
				response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
			});
		}).listen(0, '127.0.0.1');
		await once(receiver, 'listening');
		t.after(() => {
			receiver.closeAllConnections();
			receiver.close();
		});
		const service = await start(t, {
			OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`,
			OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
			OTEL_BSP_SCHEDULE_DELAY: '20',
		});
		await tokenFor(service, 'acme/pinned');
		// Of the request that came, and of those to the API.
		for (const path of ['/auth/v1/token', '/v7/']) {
			await until(() => bodies.some((body) => body.includes(`${path}`)));
		}
	});

	test('counts in Redis', async (t) => {
		let said = '';
		const redis = createTcpServer((socket) => socket.on('error', () => undefined).on('data', (chunk) => (said += chunk.toString())));
		redis.listen(0, '127.0.0.1');
		await once(redis, 'listening');
		t.after(() => redis.close());
		await start(t, { REDIS_URL: `redis://127.0.0.1:${(redis.address() as AddressInfo).port}` });
		await until(() => /^\*\d+\r\n/.test(said));
	});

	test('says which setting cannot be used', async () => {
		const { code, printed } = await run(process.execPath, [join(directory, 'server.mjs')], { env: { PROXY_PORT: 'x' } });
		assert.equal(code, 1);
		assert.match(printed, /^PROXY_PORT is "x", which cannot be used/);
	});
});
