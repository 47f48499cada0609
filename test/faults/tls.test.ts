import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test, type TestContext } from 'node:test';
import { ACCEPT, basic, startProxy } from '../support/proxy.ts';
import { ask, setUp, tokenFor } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';
import { assertTold, logged, type Told } from '../support/expect.ts';
import { startProcess } from '../support/process.ts';

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const KEY = upstream.keys.owner;
const MANIFEST = `/v2/${NAME}/manifests/${imageOf(upstream, 'acme/pinned', '1.0.0').digest}`;
const TOKEN = `/auth/v1/token?scope=repository:${NAME}:pull`;
const API: Told = { status: 502, code: 'UNAVAILABLE', words: /API could not be reached/ };
const REGISTRY: Told = { status: 502, code: 'UNAVAILABLE', words: /registry could not be reached/ };

/** Upstreams with certificates of every kind: only one that verifies is spoken to. */
suite('TLS to the upstreams', needs('openssl'), () => {
	const directory = mkdtempSync(join(tmpdir(), 'tls-'));
	const file = (name: string): string => join(directory, name);
	before(() => {
		openssl(
			'req',
			'-x509',
			'-newkey',
			'ec',
			'-pkeyopt',
			'ec_paramgen_curve:P-256',
			'-nodes',
			'-keyout',
			file('ca.key'),
			'-out',
			file('ca.pem'),
			'-subj',
			'/CN=test CA',
			'-days',
			'2',
		);
		certify('good', 'IP:127.0.0.1', '2');
		certify('other', 'DNS:other.example', '2');
	});
	after(() => rmSync(directory, { recursive: true }));

	function openssl(...args: string[]): void {
		const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
		assert.equal(status, 0, stderr);
	}

	function certify(name: string, altName: string, days: string): void {
		openssl(
			'req',
			'-x509',
			'-newkey',
			'ec',
			'-pkeyopt',
			'ec_paramgen_curve:P-256',
			'-nodes',
			'-CA',
			file('ca.pem'),
			'-CAkey',
			file('ca.key'),
			'-keyout',
			file(`${name}.key`),
			'-out',
			file(`${name}.pem`),
			'-subj',
			`/CN=${name}`,
			'-addext',
			`subjectAltName=${altName}`,
			'-days',
			days,
		);
	}

	/** An upstream behind TLS. @returns its URL, and the requests that got through */
	async function behindTls(t: TestContext, target: string, certificate: string): Promise<{ url: string; seen: string[] }> {
		const seen: string[] = [];
		const server = createServer(
			{ cert: readFileSync(file(`${certificate}.pem`)), key: readFileSync(file(`${certificate}.key`)) },
			(req, res) => {
				seen.push(`${req.method} ${req.url} ${req.headers.authorization ?? ''}`);
				const outgoing = request(
					target,
					{ method: req.method, path: req.url, headers: { ...req.headers, host: new URL(target).host } },
					(incoming) => {
						res.writeHead(incoming.statusCode!, incoming.headers);
						incoming.pipe(res);
					},
				);
				req.pipe(outgoing.on('error', () => res.destroy()));
			},
		).listen(0, '127.0.0.1');
		await once(server, 'listening');
		t.after(() => {
			server.close();
			server.closeAllConnections();
		});
		return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
	}

	for (const [what, certificate, code] of [
		['is of an unknown CA', 'good', /UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT_LOCALLY/],
		['is self-signed', 'ca', /DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT/],
	] as const) {
		test(
			`a certificate that ${what} is refused: nothing is said to that upstream, and the log and /ready say why`,
			{ timeout: 20_000 },
			async (t) => {
				const { proxy: sound } = await setUp(t);
				const token = await tokenFor(sound, NAME);
				const [api, registry] = await Promise.all([
					behindTls(t, upstream.apiUrl, certificate),
					behindTls(t, upstream.registryUrl, certificate),
				]);
				const withApi = await startProxy(t, { apiUrl: api.url, registryUrl: upstream.registryUrl });
				const withRegistry = await startProxy(t, { apiUrl: upstream.apiUrl, registryUrl: registry.url });
				assertTold(await ask(withApi, TOKEN, { headers: { authorization: basic(KEY) } }), API, withApi, [KEY]);
				assertTold(await ask(withRegistry, MANIFEST, { token, headers: { accept: ACCEPT } }), REGISTRY, withRegistry, [KEY]);
				assertTold(await ask(withRegistry, '/v2/'), REGISTRY, withRegistry);
				for (const proxy of [withApi, withRegistry]) {
					assert.ok(
						logged(proxy, (line) => line.level === 50 && code.test(JSON.stringify(line))),
						'the log does not say why',
					);
					const ready = await ask(proxy, '/ready');
					assert.equal(ready.status, 503);
					assert.match(ready.text, code);
					assert.equal((await ask(proxy, '/ping')).text, 'pong');
				}
				assert.deepEqual([...api.seen, ...registry.seen], []);
			},
		);
	}

	test('with NODE_EXTRA_CA_CERTS a private CA is trusted, for both upstreams', { timeout: 30_000 }, async (t) => {
		const [api, registry] = await Promise.all([behindTls(t, upstream.apiUrl, 'good'), behindTls(t, upstream.registryUrl, 'good')]);
		const service = await startProcess(t, { apiUrl: api.url, registryUrl: registry.url }, { NODE_EXTRA_CA_CERTS: file('ca.pem') });
		const token = await tokenFor(service, NAME, basic(KEY));
		assert.equal((await ask(service, MANIFEST, { token, headers: { accept: ACCEPT } })).status, 200);
		assert.equal((await ask(service, '/ready')).status, 200);
		assert.ok(api.seen.length > 0 && registry.seen.length > 0);
	});

	test('a certificate for another host is refused even of a trusted CA', { timeout: 30_000 }, async (t) => {
		const [api, registry] = await Promise.all([behindTls(t, upstream.apiUrl, 'other'), behindTls(t, upstream.registryUrl, 'other')]);
		const service = await startProcess(t, { apiUrl: api.url, registryUrl: registry.url }, { NODE_EXTRA_CA_CERTS: file('ca.pem') });
		assert.equal((await ask(service, TOKEN, { headers: { authorization: basic(KEY) } })).status, 502);
		assert.match((await ask(service, '/ready')).text, /ERR_TLS_CERT_ALTNAME_INVALID/);
		assert.deepEqual([...api.seen, ...registry.seen], []);
	});

	test('verification cannot be switched off, not even by NODE_TLS_REJECT_UNAUTHORIZED=0', { timeout: 30_000 }, async (t) => {
		const [api, registry] = await Promise.all([behindTls(t, upstream.apiUrl, 'good'), behindTls(t, upstream.registryUrl, 'good')]);
		const service = await startProcess(t, { apiUrl: api.url, registryUrl: registry.url }, { NODE_TLS_REJECT_UNAUTHORIZED: '0' });
		const { proxy: sound } = await setUp(t);
		const token = await tokenFor(sound, NAME);
		assert.equal((await ask(service, TOKEN, { headers: { authorization: basic(KEY) } })).status, 502);
		assert.equal((await ask(service, MANIFEST, { token, headers: { accept: ACCEPT } })).status, 502);
		const mixed = await startProcess(t, { apiUrl: api.url, registryUrl: upstream.registryUrl }, { NODE_TLS_REJECT_UNAUTHORIZED: '0' });
		assert.equal((await ask(mixed, TOKEN, { headers: { authorization: basic(KEY) } })).status, 502);
		assert.deepEqual([...api.seen, ...registry.seen], []);
	});
});
