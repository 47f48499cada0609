import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { buffer } from 'node:stream/consumers';
import { after, before, suite, test, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { basic, ACCEPT } from '../support/proxy.ts';
import { startProcess, type ServiceProcess } from '../support/process.ts';
import { ask, assertError, tokenFor, upstreamPart } from '../support/setup.ts';
import { followedRequests, rotateKeys } from '../upstream/control.ts';
import { needsDistribution } from '../upstream/distribution.ts';
import { imageOf, startUpstream, type RunningUpstream } from '../upstream/index.ts';

/* The service in front of distribution 3 as the balena cloud runs it: TLS with HTTP/2, a JWKS, and object storage that verifies what the registry has signed. */

const NAME = 'balenalabs/browser-aarch64';
const SECRET = 'acme/secret';
const ABSENT = `sha256:${'0'.repeat(64)}`;
const FOLLOWING = { FOLLOW_REDIRECTS: 'https', FOLLOW_REDIRECTS_ALLOW: '127.0.0.0/8' };

const digestOf = (bytes: Buffer | string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

suite('distribution 3', needsDistribution(), () => {
	let upstream: RunningUpstream;
	let ca: string;
	before(async () => {
		upstream = await startUpstream({ registry: 'distribution' });
		ca = readFileSync(upstream.caFile!, 'utf8');
	});
	after(() => upstream.close());

	const start = (t: TestContext, env: Record<string, string> = {}): Promise<ServiceProcess> =>
		startProcess(t, upstream, { NODE_EXTRA_CA_CERTS: upstream.caFile!, ...env });
	const layerOf = (name: string): { digest: string; size: number } => imageOf(upstream, name).platforms[0]!.layers[0]!;
	const blobOf = (name: string): string => `/v2/${name}/blobs/${layerOf(name).digest}`;

	/** One request to the storage, as a client makes it that follows a redirect. */
	async function follow(
		location: string,
		{ method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
	): Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }> {
		const outgoing = request(location, { method, headers, ca, agent: false }).end();
		const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
		return { status: incoming.statusCode!, headers: incoming.headers, body: await buffer(incoming) };
	}

	test('it offers HTTP/2', async () => {
		const { hostname: host, port } = new URL(upstream.registryUrl);
		const socket = connect({ host, port: Number(port), ca, ALPNProtocols: ['h2', 'http/1.1'] });
		await once(socket, 'secureConnect');
		assert.equal(socket.alpnProtocol, 'h2');
		socket.destroy();
	});

	test('a manifest, by tag and by digest, GET and HEAD', async (t) => {
		const proxy = await start(t);
		const token = await tokenFor(proxy, NAME);
		const { digest, mediaType } = imageOf(upstream, NAME);
		for (const reference of ['latest', digest]) {
			for (const method of ['GET', 'HEAD']) {
				const answer = await ask(proxy, `/v2/${NAME}/manifests/${reference}`, { method, token, headers: { accept: ACCEPT } });
				assert.equal(answer.status, 200, answer.text);
				assert.deepEqual([answer.headers['docker-content-digest'], answer.headers['content-type']], [digest, mediaType]);
				assert.equal(method === 'HEAD' ? digest : digestOf(answer.text), digest);
			}
		}
	});

	test('a blob is behind a signed redirect, which is good for its method alone', async (t) => {
		const proxy = await start(t);
		const token = await tokenFor(proxy, NAME);
		const { digest, size } = layerOf(NAME);
		const locationOf = async (method: string): Promise<string> => {
			const answer = await ask(proxy, blobOf(NAME), { method, token });
			assert.equal(answer.status, 307);
			return answer.headers.location!;
		};
		const [get, head] = [await locationOf('GET'), await locationOf('HEAD')];
		assert.match(get, /X-Amz-Expires=1200&.*X-Amz-Signature=/);
		assert.deepEqual([await locationOf('GET'), await locationOf('HEAD')], [get, head], 'remembered, each for its method');
		assert.equal(digestOf((await follow(get)).body), digest);
		const part = await follow(get, { headers: { range: 'bytes=4-' } });
		assert.deepEqual([part.status, part.body.length], [206, size - 4]);
		assert.deepEqual((({ status, headers }) => [status, headers['content-length']])(await follow(head, { method: 'HEAD' })), [
			200,
			`${size}`,
		]);
		// That the storage verifies.
		assert.equal((await follow(get, { method: 'HEAD' })).status, 403);
		assert.equal((await follow(get.replace(/(X-Amz-Expires=)1200/, '$172000'))).status, 403);
		assert.equal((await follow(get, { headers: { authorization: `Bearer ${token}` } })).status, 400);
	});

	test('FOLLOW_REDIRECTS: the blob itself, of the storage nothing, and to it no credentials', async (t) => {
		const proxy = await start(t, FOLLOWING);
		const { digest, size } = layerOf(NAME);
		const before = (await followedRequests(upstream)).length;
		const rows: [method: string, headers: Record<string, string>, status: number, length: number, range?: string][] = [
			['GET', {}, 200, size],
			['HEAD', {}, 200, size],
			['GET', { range: 'bytes=0-9' }, 206, 10, `bytes 0-9/${size}`],
			['GET', { range: 'bytes=10-' }, 206, size - 10, `bytes 10-${size - 1}/${size}`],
			['GET', { range: `bytes=${size}-` }, 416, 0],
		];
		for (const authorization of [undefined, basic(upstream.keys.owner)]) {
			const token = await tokenFor(proxy, NAME, authorization);
			for (const [method, headers, status, length, range] of rows) {
				const answer = await ask(proxy, blobOf(NAME), { method, headers, token });
				assert.equal(answer.status, status, answer.text);
				if (status < 400) {
					assert.deepEqual(
						[answer.headers['docker-content-digest'], answer.headers['content-length'], answer.headers['content-range']],
						[digest, `${length}`, range],
					);
					assert.deepEqual(
						['x-amz-request-id', 'server', 'last-modified', 'location'].map((name) => answer.headers[name]),
						[undefined, undefined, undefined, undefined],
					);
				}
			}
		}
		const followed = (await followedRequests(upstream)).slice(before);
		assert.deepEqual(
			followed.map(({ method, status, headers }) => [method, status, headers.authorization]),
			[...rows, ...rows].map(([method, , status]) => [method, status, undefined]),
		);
	});

	test('whole blobs have their digests', async (t) => {
		const proxy = await start(t, FOLLOWING);
		const token = await tokenFor(proxy, NAME);
		const outgoing = await fetch(`${proxy.url}${blobOf(NAME)}`, { headers: { authorization: `Bearer ${token}` } });
		assert.equal(digestOf(Buffer.from(await outgoing.arrayBuffer())), layerOf(NAME).digest);
	});

	test('private images are their owner’s', async (t) => {
		const proxy = await start(t);
		const path = `/v2/${SECRET}/manifests/latest`;
		const owner = await ask(proxy, path, { token: await tokenFor(proxy, SECRET, basic(upstream.keys.owner)), headers: { accept: ACCEPT } });
		assert.deepEqual([owner.status, owner.headers['docker-content-digest']], [200, imageOf(upstream, SECRET).digest]);
		for (const authorization of [undefined, basic(upstream.keys.stranger)]) {
			assertError(await ask(proxy, path, { token: await tokenFor(proxy, SECRET, authorization) }), 404, 'NAME_UNKNOWN');
		}
		// By the registry's own name, a token that does not grant it.
		const own = `${imageOf(upstream, SECRET).repository}`;
		const answer = await ask(proxy, `/v2/${own}/manifests/latest`, { token: await tokenFor(proxy, own) });
		assertError(answer, 401, 'UNAUTHORIZED');
	});

	test('what is not there', async (t) => {
		const proxy = await start(t, FOLLOWING);
		const token = await tokenFor(proxy, NAME);
		const rows: [path: string, status: number, code: string][] = [
			[`manifests/${ABSENT}`, 404, 'MANIFEST_UNKNOWN'],
			[`blobs/${ABSENT}`, 404, 'BLOB_UNKNOWN'],
			// No "no such repository", after which oras would not look at the fallback tag.
			[`referrers/${imageOf(upstream, NAME).digest}`, 404, 'UNSUPPORTED'],
		];
		for (const [path, status, code] of rows) {
			assertError(await ask(proxy, `/v2/${NAME}/${path}`, { token }), status, code);
		}
	});

	test('tags of a release', async (t) => {
		const proxy = await start(t);
		const name = `${NAME}/2.3.8`;
		const answer = await ask(proxy, `/v2/${name}/tags/list`, { token: await tokenFor(proxy, name) });
		assert.deepEqual(JSON.parse(answer.text), { name, tags: ['latest'] });
	});

	test('keys that are rotated: what is remembered of the old one is forgotten with the first refusal', async (t) => {
		const proxy = await start(t);
		const pull = (token: string): ReturnType<typeof ask> =>
			ask(proxy, `/v2/${NAME}/manifests/latest`, { token, headers: { accept: ACCEPT } });
		const blob = (token: string): ReturnType<typeof ask> => ask(proxy, `/v2/${NAME}/blobs/${layerOf(NAME).digest}`, { token });
		const old = await tokenFor(proxy, NAME);
		assert.equal((await blob(old)).status, 307);
		await rotateKeys(upstream);
		// Another blob, because the first may come from memory.
		const refused = await ask(proxy, `/v2/${NAME}/blobs/${imageOf(upstream, NAME).platforms[0]!.configDigest}`, { token: old });
		assertError(refused, 401, 'UNAUTHORIZED');
		assert.match(refused.headers['www-authenticate']!, /error="invalid_token"/);
		const token = await tokenFor(proxy, NAME);
		assert.notEqual(upstreamPart(token), upstreamPart(old));
		assert.equal((await pull(token)).status, 200);
		assert.equal((await blob(token)).status, 307);
	});
});
