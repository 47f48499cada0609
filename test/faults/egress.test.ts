import assert from 'node:assert/strict';
import { suite, test, type TestContext } from 'node:test';
import { startEgressProxy, type EgressProxy } from '../support/egress-proxy.ts';
import { startProcess } from '../support/process.ts';
import { ACCEPT } from '../support/proxy.ts';
import { ask, tokenFor } from '../support/setup.ts';
import { tlsUpstreams, type TlsUpstream } from '../support/tls-upstream.ts';
import { imageOf } from '../upstream/index.ts';
import { startRelay } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';

/* How the upstreams are reached, where they have TLS, and HTTP/2 too: by HTTP/1.1, and through a proxy where one is set. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const BLOB = `/v2/${NAME}/blobs/${imageOf(upstream, 'acme/pinned', '1.0.0').platforms[0]!.layers[0]!.digest}`;

interface Reached {
	api: TlsUpstream;
	registry: TlsUpstream;
	storage: TlsUpstream;
	egress: EgressProxy;
}

/** A name, a token, a challenge, a manifest, and a blob whose redirect is followed: all that an upstream is asked. */
async function pull(t: TestContext, environment: (hosts: Reached) => Record<string, string>): Promise<Reached> {
	const { ca, start } = await tlsUpstreams(t);
	const relay = await startRelay(upstream.registryUrl);
	t.after(() => relay.close());
	const [api, registry, storage] = await Promise.all([start(upstream.apiUrl), start(relay.url), start(upstream.apiUrl)]);
	relay.fault = ({ url }) =>
		url.includes('/blobs/') ? { status: 307, headers: { location: `${storage.url}/ping`, 'content-length': '0' } } : undefined;
	const hosts = { api, registry, storage, egress: await startEgressProxy(t) };
	const service = await startProcess(
		t,
		{ apiUrl: api.url, registryUrl: registry.url },
		{ NODE_EXTRA_CA_CERTS: ca, FOLLOW_REDIRECTS: 'https', FOLLOW_REDIRECTS_ALLOW: '127.0.0.0/8', ...environment(hosts) },
	);
	assert.equal((await ask(service, '/v2/')).status, 401);
	const token = await tokenFor(service, NAME);
	const manifest = await ask(service, `/v2/${NAME}/manifests/latest`, { token, headers: { accept: ACCEPT } });
	assert.equal(manifest.status, 200, manifest.text);
	assert.equal((await ask(service, BLOB, { token })).status, 200);
	return hosts;
}

const EXPECTED: [who: 'api' | 'registry' | 'storage', what: string, request: RegExp][] = [
	['api', 'the SDK’s query', /^HTTP\/1\.1 GET \/v7\//],
	['api', 'the token', /^HTTP\/1\.1 GET \/auth\/v1\/token\?/],
	['registry', 'the challenge', /^HTTP\/1\.1 GET \/v2\/$/],
	['registry', 'the manifest', /^HTTP\/1\.1 GET \/v2\/.*\/manifests\//],
	['registry', 'the blob', /^HTTP\/1\.1 GET \/v2\/.*\/blobs\//],
	['storage', 'the followed redirect', /^HTTP\/1\.1 GET \/ping$/],
];

/** By settings: whom the egress proxy was asked for. */
const ROWS: Record<string, { environment: (hosts: Reached) => Record<string, string>; through: ('api' | 'registry' | 'storage')[] }> = {
	'nothing set': { environment: () => ({}), through: [] },
	HTTPS_PROXY: { environment: ({ egress }) => ({ HTTPS_PROXY: egress.url }), through: ['api', 'registry', 'storage'] },
	'https_proxy, in lower case': { environment: ({ egress }) => ({ https_proxy: egress.url }), through: ['api', 'registry', 'storage'] },
	'HTTPS_PROXY, but NO_PROXY for the registry': {
		environment: ({ egress, registry }) => ({ HTTPS_PROXY: egress.url, NO_PROXY: registry.host }),
		through: ['api', 'storage'],
	},
	'HTTPS_PROXY, but NO_PROXY for the API and the storage': {
		environment: ({ egress, api, storage }) => ({ HTTPS_PROXY: egress.url, NO_PROXY: `${api.host},${storage.host}` }),
		through: ['registry'],
	},
	'HTTPS_PROXY, but NO_PROXY for all': { environment: ({ egress }) => ({ HTTPS_PROXY: egress.url, NO_PROXY: '127.0.0.1' }), through: [] },
};

suite('upstreams with TLS that offer HTTP/2', needs('openssl'), () => {
	for (const [what, { environment, through }] of Object.entries(ROWS)) {
		test(
			`${what}: ${through.length === 0 ? 'nothing' : through.join(', ')} by CONNECT, all by HTTP/1.1`,
			{ timeout: 60_000 },
			async (t) => {
				const hosts = await pull(t, environment);
				for (const [who, name, request] of EXPECTED) {
					assert.ok(
						hosts[who].requests.some((each) => request.test(each)),
						`${name} is not in ${hosts[who].requests.join(', ')}`,
					);
				}
				for (const who of ['api', 'registry', 'storage'] as const) {
					assert.deepEqual(
						hosts[who].requests.filter((request) => !request.startsWith('HTTP/1.1 ')),
						[],
					);
					assert.equal(
						hosts.egress.connected.includes(hosts[who].host),
						through.includes(who),
						`${who} of ${hosts.egress.connected.join()}`,
					);
				}
				assert.deepEqual(hosts.egress.asked, []);
			},
		);
	}
});
