import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT, basic } from '../../support/proxy.ts';
import { imageOf, type ImageSummary } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { ask, CACHES_OFF, faultAt, forgetRequests, grantsOf, seen, setUp, tokenFor, type Setup } from '../../support/setup.ts';
import type { Fault } from '../../upstream/relay.ts';

/* What is answered from memory, counted at the relays: what the upstreams do not see was. */

const upstream = await sharedUpstream();
const BROWSER = 'balenalabs/browser-aarch64';
const NAME = 'acme/pinned/1.0.0';
const IMAGE = imageOf(upstream, 'acme/pinned', '1.0.0');

/** A whole pull, as Docker does it. */
async function pullImage({ proxy }: Setup, name: string, authorization?: string): Promise<void> {
	assert.equal((await ask(proxy, '/v2/')).status, 401);
	const token = await tokenFor(proxy, name, authorization);
	assert.equal((await ask(proxy, '/v2/', { token })).status, 200);
	const manifest = async (reference: string): Promise<any> => {
		const path = `/v2/${name}/manifests/${reference}`;
		const head = await ask(proxy, path, { method: 'HEAD', token, headers: { accept: ACCEPT } });
		const answer = await ask(proxy, path, { token, headers: { accept: ACCEPT } });
		assert.deepEqual([head.status, answer.status], [200, 200], answer.text);
		const again = await ask(proxy, `/v2/${name}/manifests/${String(answer.headers['docker-content-digest'])}`, {
			token,
			headers: { accept: ACCEPT },
		});
		assert.equal(again.text, answer.text);
		return JSON.parse(answer.text);
	};
	const top = await manifest('latest');
	const images =
		top.manifests === undefined ? [top] : await Promise.all(top.manifests.map(({ digest }: { digest: string }) => manifest(digest)));
	for (const { config, layers } of images) {
		for (const { digest } of [config, ...layers]) {
			const blob = await ask(proxy, `/v2/${name}/blobs/${digest}`, { token });
			assert.ok(blob.status === 200 || blob.status === 307, blob.text);
		}
	}
}

/** What the upstreams see, as words: the kinds of requests, without repetitions. */
function kindsSeen({ api, registry }: Setup): string[] {
	const kinds = [
		...api.requests.map(({ url }) => (url.startsWith('/auth/') ? 'token' : 'query')),
		...registry.requests.map(({ url }) =>
			url === '/v2/'
				? 'ping'
				: url.includes('/manifests/sha256:')
					? 'manifest by digest'
					: url.includes('/manifests/')
						? 'manifest by tag'
						: url.includes('/blobs/')
							? 'blob'
							: url,
		),
	];
	return [...new Set(kinds)].sort();
}

const redirect = (): Fault => ({
	status: 307,
	headers: { location: 'https://storage.example/a/blob?X-Amz-Signature=x', 'docker-distribution-api-version': 'registry/2.0' },
});

test('a warm public pull asks the upstreams for nothing but the bytes of its blobs', async (t) => {
	const setup = await setUp(t);
	const rows: [name: string, image: ImageSummary & { repository: string }][] = [
		[NAME, IMAGE],
		[BROWSER, imageOf(upstream, BROWSER)],
		[`${BROWSER}/2.3`, imageOf(upstream, BROWSER, '2.3.8+rev2')],
		['acme/multi-arch', imageOf(upstream, 'acme/multi-arch')],
		['acme/several/1.1.0/db', imageOf(upstream, 'acme/several', '1.1.0', 'db')],
	];
	for (const [name, { repository, platforms }] of rows) {
		const blobs = platforms
			.flatMap(({ configDigest, layers }) => [configDigest, ...layers.map(({ digest }) => digest)])
			.map((digest) => `GET /v2/${repository}/blobs/${digest}`);
		await t.test(`${name}: with blobs that the registry sends itself`, async () => {
			setup.registry.fault = () => undefined;
			await pullImage(setup, name);
			forgetRequests(setup);
			await pullImage(setup, name);
			assert.deepEqual(seen(setup.api), []);
			assert.deepEqual(seen(setup.registry).sort(), blobs.sort());
		});
		await t.test(`${name}: with blobs in an object store`, async () => {
			setup.registry.fault = faultAt(/\/blobs\//, redirect());
			await pullImage(setup, name);
			forgetRequests(setup);
			await pullImage(setup, name);
			assert.deepEqual([seen(setup.api), seen(setup.registry)], [[], []]);
		});
	}
});

test('each memory can be switched off, and with all of them off the same pull works', async (t) => {
	const everything = ['blob', 'manifest by digest', 'manifest by tag', 'ping', 'query', 'token'];
	const rows: Record<string, { env: Record<string, string>; authorization?: string; name?: string; asked: string[] }> = {
		'all on': { env: {}, asked: [] },
		'all off': { env: CACHES_OFF, asked: everything },
		'no resolutions': { env: { RESOLUTION_TTL: '0' }, asked: ['query'] },
		// A new token is asked about once a repository: what follows is remembered.
		'no tokens': { env: { TOKEN_TTL: '0' }, asked: ['manifest by tag', 'ping', 'token'] },
		'no authorizations': { env: { AUTHORIZATION_TTL: '0' }, asked: ['blob', 'manifest by digest', 'manifest by tag', 'ping'] },
		'no manifests': { env: { MANIFEST_CACHE_BYTES: '0' }, asked: ['manifest by digest', 'manifest by tag'] },
		'no manifests by tag': { env: { MANIFEST_TAG_TTL: '0' }, asked: ['manifest by tag'] },
		'no redirects': { env: { REDIRECT_TTL: '0' }, asked: ['blob'] },
		'all on, with credentials': {
			env: {},
			authorization: basic(upstream.keys.owner),
			name: 'acme/secret',
			asked: ['manifest by tag', 'ping', 'token'],
		},
	};
	for (const [what, { env, authorization, name = NAME, asked }] of Object.entries(rows)) {
		await t.test(what, async (t) => {
			const setup = await setUp(t, env);
			setup.registry.fault = faultAt(/\/blobs\//, redirect());
			await pullImage(setup, name, authorization);
			forgetRequests(setup);
			await pullImage(setup, name, authorization);
			assert.deepEqual(kindsSeen(setup), asked);
		});
	}
});

test('one memory of a manifest serves GET, HEAD and conditional requests, but only who accepts it', async (t) => {
	const { proxy, registry } = await setUp(t);
	const token = await tokenFor(proxy, NAME);
	const etag = `"${IMAGE.digest}"`;
	const rows: { what: string; reference?: string; method?: string; headers?: Record<string, string>; status?: number; asked: number }[] = [
		{ what: 'HEAD, by tag', method: 'HEAD', asked: 1 },
		{ what: 'HEAD again, because the first one has brought no manifest', method: 'HEAD', asked: 1 },
		{ what: 'GET', asked: 1 },
		{ what: 'HEAD, when it is there', method: 'HEAD', asked: 0 },
		{ what: 'another tag, which is ignored', reference: '1.0.0', asked: 0 },
		{ what: 'GET by digest', reference: IMAGE.digest, asked: 0 },
		{ what: 'HEAD by digest', reference: IMAGE.digest, method: 'HEAD', asked: 0 },
		{ what: 'not modified', headers: { 'if-none-match': etag }, status: 304, asked: 0 },
		{
			what: 'not modified, by HEAD and digest',
			reference: IMAGE.digest,
			method: 'HEAD',
			headers: { 'if-none-match': etag },
			status: 304,
			asked: 0,
		},
		{ what: 'not modified, one of several', headers: { 'if-none-match': `"sha256:0", W/${etag}` }, status: 304, asked: 0 },
		{ what: 'not modified, whatever it is', headers: { 'if-none-match': '*' }, status: 304, asked: 0 },
		{ what: 'modified', headers: { 'if-none-match': `"sha256:${'0'.repeat(64)}"` }, asked: 0 },
		{ what: 'whatever the registry has, by digest', reference: IMAGE.digest, headers: { accept: '*/*' }, asked: 0 },
		{ what: 'another Accept, by tag', headers: { accept: `${ACCEPT}, application/json` }, asked: 1 },
		{ what: 'and again', headers: { accept: `${ACCEPT}, application/json` }, asked: 0 },
		{ what: 'a part, which is the registry’s to answer', reference: IMAGE.digest, headers: { range: 'bytes=0-1' }, status: 206, asked: 1 },
	];
	for (const { what, reference = 'latest', method = 'GET', headers = {}, status = 200, asked } of rows) {
		await t.test(what, async () => {
			registry.requests = [];
			const answer = await ask(proxy, `/v2/${NAME}/manifests/${reference}`, { method, token, headers: { accept: ACCEPT, ...headers } });
			assert.equal(answer.status, status);
			assert.deepEqual([answer.headers['docker-content-digest'], answer.headers['etag']], [IMAGE.digest, etag]);
			assert.equal(answer.text.length > 0, status < 300 && method === 'GET');
			assert.equal(registry.requests.length, asked);
		});
	}
	await t.test('who does not accept its media type is not given it, by digest or by tag', async () => {
		for (const reference of [IMAGE.digest, 'latest']) {
			registry.requests = [];
			await ask(proxy, `/v2/${NAME}/manifests/${reference}`, { token, headers: { accept: 'application/vnd.oci.image.index.v1+json' } });
			assert.equal(registry.requests[0]!.headers.accept, 'application/vnd.oci.image.index.v1+json');
		}
	});
});

test('a tag that is asked for by HEAD only, as clients of containerd do, and then by its digest', async (t) => {
	const { proxy, registry } = await setUp(t);
	const token = await tokenFor(proxy, NAME);
	const other = await tokenFor(proxy, NAME, basic(upstream.keys.stranger));
	const rows: [method: string, reference: string, asked: number, token: string][] = [
		['HEAD', 'latest', 1, token],
		// A HEAD says of nothing that is not known.
		['GET', IMAGE.digest, 1, token],
		// Now it is known what the registry's answer says.
		['HEAD', 'latest', 1, token],
		['HEAD', 'latest', 0, token],
		['GET', 'latest', 0, token],
		// Of another token, the answer to its own HEAD proves that it may have what is remembered.
		['HEAD', 'latest', 1, other],
		['GET', IMAGE.digest, 0, other],
	];
	for (const [method, reference, asked, token] of rows) {
		registry.requests = [];
		const answer = await ask(proxy, `/v2/${NAME}/manifests/${reference}`, { method, token, headers: { accept: ACCEPT } });
		assert.deepEqual([answer.status, answer.headers['docker-content-digest'], registry.requests.length], [200, IMAGE.digest, asked]);
	}
	const forged = `${token.slice(0, 50)}${token[50] === 'A' ? 'B' : 'A'}${token.slice(51)}`;
	assert.equal(
		(await ask(proxy, `/v2/${NAME}/manifests/latest`, { method: 'HEAD', token: forged, headers: { accept: ACCEPT } })).status,
		401,
	);
});

test('failures are remembered for anonymous callers only', async (t) => {
	const setup = await setUp(t);
	const rows: [authorization: string | undefined, asked: number][] = [
		[undefined, 0],
		[basic(upstream.keys.stranger), 3],
	];
	for (const [authorization, asked] of rows) {
		await t.test(authorization === undefined ? 'anonymous' : 'with credentials', async () => {
			const first = grantsOf(await tokenFor(setup.proxy, 'acme/secret', authorization));
			forgetRequests(setup);
			assert.deepEqual(grantsOf(await tokenFor(setup.proxy, 'acme/secret', authorization)), first);
			assert.equal(setup.api.requests.length, asked);
		});
	}
});
