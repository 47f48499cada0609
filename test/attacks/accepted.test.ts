import fc from 'fast-check';
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { httpAnswer, startBrokenServer, type BrokenServer } from '../support/broken-server.ts';
import { ACCEPT, startProxy, type Proxy } from '../support/proxy.ts';
import { ask, forge } from '../support/setup.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Kind A: a registry, or what is in front of it, says no in a way that looks like a yes, and a forged token is taken for one that was accepted. */

const upstream = await sharedUpstream();
const REPOSITORY = `v2/${'0123456789abcdef'.repeat(2)}`;
const MANIFEST = '{"schemaVersion":2}';
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const MANIFEST_DIGEST = `sha256:${hash('sha256', MANIFEST)}`;
const BLOB = 'secret';
const BLOB_DIGEST = `sha256:${hash('sha256', BLOB)}`;
const REGISTRY = { 'Docker-Distribution-Api-Version': 'registry/2.0' };
const REFUSAL = httpAnswer('401 Unauthorized', { 'WWW-Authenticate': 'Bearer realm="x",service="x",error="invalid_token"' });
const SECRET = httpAnswer('200 OK', { ...REGISTRY, 'Content-Type': MANIFEST_TYPE, 'Docker-Content-Digest': MANIFEST_DIGEST }, MANIFEST);
/** What is accepted is so until the token ends. */
const UNSIGNED = `e30.${Buffer.from(JSON.stringify({ exp: 4_000_000_000 })).toString('base64url')}`;
const FORGED = `${UNSIGNED}.forged`;
const GOOD = `${UNSIGNED}.good`;
const LOGIN = 'https://login.example/';

/** What is no grant. */
const NOT_GRANTED: Record<string, Buffer> = {
	'401': REFUSAL,
	'103, then 401': Buffer.concat([Buffer.from('HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n'), REFUSAL]),
	'102 twice, then 401': Buffer.concat([Buffer.from('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n'), REFUSAL]),
	'a 302 to a login': httpAnswer('302 Found', { Location: LOGIN }),
	'a 303 to a login': httpAnswer('303 See Other', { Location: LOGIN }),
	'a 307 to a login': httpAnswer('307 Temporary Redirect', { Location: LOGIN }),
	'a 301 to https': httpAnswer('301 Moved Permanently', { ...REGISTRY, Location: 'https://registry.example/' }),
	'a page of 200': httpAnswer('200 OK', { 'Content-Type': 'text/html' }, '<h1>maintenance</h1>'),
	'a page of 200 of another digest': httpAnswer('200 OK', { ...REGISTRY, 'Docker-Content-Digest': MANIFEST_DIGEST }, '<h1>login</h1>'),
	'204': httpAnswer('204 No Content', { ...REGISTRY, 'Content-Length': '0' }),
	'205': httpAnswer('205 Reset Content', { ...REGISTRY, 'Content-Length': '0' }),
	'206 of a page': httpAnswer('206 Partial Content', { ...REGISTRY, 'Content-Range': 'bytes 0-1/2' }, 'no'),
	'300': httpAnswer('300 Multiple Choices', { ...REGISTRY, Location: LOGIN }),
	'304': Buffer.from('HTTP/1.1 304 Not Modified\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\r\n'),
	'404': httpAnswer('404 Not Found', REGISTRY),
	'503': httpAnswer('503 Service Unavailable', REGISTRY),
};

/** What is one, of a blob. */
const GRANTED: Record<string, Buffer> = {
	'200 of the blob': httpAnswer('200 OK', { ...REGISTRY, 'Docker-Content-Digest': BLOB_DIGEST }, BLOB),
	'103, then 200 of the blob': Buffer.concat([
		Buffer.from('HTTP/1.1 103 Early Hints\r\n\r\n'),
		httpAnswer('200 OK', { ...REGISTRY, 'Docker-Content-Digest': BLOB_DIGEST }, BLOB),
	]),
	'the registry’s 307': httpAnswer('307 Temporary Redirect', { ...REGISTRY, Location: 'https://storage.example/x' }),
};

const ANSWERS = { ...NOT_GRANTED, ...GRANTED };

interface Attack {
	proxy: Proxy;
	registry: BrokenServer;
	/** Asks with a token's upstream part. @returns the status */
	get(token: string, path: string): Promise<number>;
	/** What the registry says to a token's request for a blob; to all else of a token that is not good it says 401. */
	blobAnswers: Map<string, Buffer>;
}

/** A manifest that the registry gives the good token is in memory. */
async function prepare(t: Parameters<typeof startProxy>[0]): Promise<Attack> {
	const blobAnswers = new Map<string, Buffer>();
	const registry = await startBrokenServer(t, (socket, head) => {
		const token = /^authorization: Bearer (.*)$/im.exec(head)?.[1] ?? '';
		const isBlob = head.includes('/blobs/');
		const answer = isBlob ? (blobAnswers.get(token) ?? REFUSAL) : token === GOOD ? SECRET : REFUSAL;
		socket.write(answer);
	});
	const proxy = await startProxy(t, { apiUrl: upstream.apiUrl, registryUrl: registry.url }, { RATE_LIMIT_MAX: '0' });
	const get = async (token: string, path: string): Promise<number> => {
		const client = forge(token, { n: { 'acme/secret': [REPOSITORY, '1.0.0'] } });
		const { status } = await ask(proxy, `/v2/acme/secret/${path}`, { token: client, headers: { accept: ACCEPT } });
		return status;
	};
	assert.equal(await get(GOOD, `manifests/${MANIFEST_DIGEST}`), 200);
	return { proxy, registry, get, blobAnswers };
}

test('a forged token is not accepted because the registry, or what is in front of it, did not refuse a blob', async (t) => {
	const { registry, get, blobAnswers } = await prepare(t);
	const count = registry.heads.length;
	assert.equal(await get(GOOD, `manifests/${MANIFEST_DIGEST}`), 200);
	assert.equal(registry.heads.length, count, 'it is in memory');
	for (const [i, [name, answer]] of Object.entries(NOT_GRANTED).entries()) {
		await t.test(name, async () => {
			const token = `${FORGED}${i}`;
			assert.equal(await get(token, `manifests/${MANIFEST_DIGEST}`), 401);
			blobAnswers.set(token, answer);
			await get(token, `blobs/${BLOB_DIGEST}`);
			assert.equal(await get(token, `manifests/${MANIFEST_DIGEST}`), 401);
		});
	}
	for (const [i, [name, answer]] of Object.entries(GRANTED).entries()) {
		await t.test(`while one that it did accept is: ${name}`, async () => {
			const token = `${UNSIGNED}.real${i}`;
			blobAnswers.set(token, answer);
			await get(token, `blobs/${BLOB_DIGEST}`);
			assert.equal(await get(token, `manifests/${MANIFEST_DIGEST}`), 200);
		});
	}
});

test('whatever the registry answers, and in whatever order: only a token that it granted the repository is accepted', async (t) => {
	const { get, blobAnswers } = await prepare(t);
	let run = 0;
	const step = fc.record({ who: fc.nat({ max: 2 }), answer: fc.constantFrom(...Object.keys(ANSWERS)) });
	await fc.assert(
		fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
			run++;
			const granted = new Set<number>();
			for (const { who, answer } of steps) {
				const token = `${FORGED}${run}-${who}`;
				blobAnswers.set(token, ANSWERS[answer]!);
				await get(token, `blobs/${BLOB_DIGEST}`);
				if (answer in GRANTED) {
					granted.add(who);
					assert.equal(await get(`${FORGED}${run}-${who}`, `manifests/${MANIFEST_DIGEST}`), 200);
				}
				for (const each of [0, 1, 2]) {
					const status = await get(`${FORGED}${run}-${each}`, `manifests/${MANIFEST_DIGEST}`);
					assert.ok(status === 401 || granted.has(each), `${status} to a token that was not granted anything`);
				}
			}
		}),
		{ numRuns: Number(process.env['FUZZ_RUNS'] ?? 25) },
	);
});
