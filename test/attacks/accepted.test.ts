import fc from 'fast-check';
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { httpAnswer, startBrokenServer, type BrokenServer } from '../support/broken-server.ts';
import { runs } from '../properties/check.ts';
import { startProcess } from '../support/process.ts';
import { ACCEPT } from '../support/proxy.ts';
import { ask, forge } from '../support/setup.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Kind A: a registry, or what is in front of it, says no in a way that looks like a yes, and a forged token is taken for one that was accepted. */

const upstream = await sharedUpstream();
const REPOSITORIES = ['0123456789abcdef', 'fedcba9876543210'].map((half) => `v2/${half.repeat(2)}`);
const MANIFEST = '{"schemaVersion":2}';
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const MANIFEST_DIGEST = `sha256:${hash('sha256', MANIFEST)}`;
const BLOB = 'secret';
const BLOB_DIGEST = `sha256:${hash('sha256', BLOB)}`;
const REGISTRY = { 'Docker-Distribution-Api-Version': 'registry/2.0' };
const REFUSAL = httpAnswer('401 Unauthorized', { 'WWW-Authenticate': 'Bearer realm="x",service="x",error="insufficient_scope"' });
/** The token is none, whatever it is asked for. */
const INVALID = httpAnswer('401 Unauthorized', { 'WWW-Authenticate': 'Bearer realm="x",service="x",error="invalid_token"' });
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

/** And of anything but a blob: another manifest of the repository, which has the digest that is asked for; what describes the remembered one; a ping, which is about no repository. */
const OTHER_MANIFEST = '{"schemaVersion":2,"other":true}';
const OTHER_DIGEST = `sha256:${hash('sha256', OTHER_MANIFEST)}`;
const ANSWERS: Record<string, Buffer> = {
	...NOT_GRANTED,
	...GRANTED,
	'401 of a token that is none': INVALID,
	'200 of another manifest': httpAnswer('200 OK', { ...REGISTRY, 'Content-Type': MANIFEST_TYPE }, OTHER_MANIFEST),
	'200 of the remembered manifest': SECRET,
	'200 of its digest and type, but another length': httpAnswer(
		'200 OK',
		{ ...REGISTRY, 'Content-Type': MANIFEST_TYPE, 'Docker-Content-Digest': MANIFEST_DIGEST },
		`${MANIFEST} `,
	),
	'200 of its digest and length, but another type': httpAnswer(
		'200 OK',
		{ ...REGISTRY, 'Content-Type': 'text/html', 'Docker-Content-Digest': MANIFEST_DIGEST },
		MANIFEST.replace('2', '3'),
	),
	'200 of its digest, type and length, but encoded': httpAnswer(
		'200 OK',
		{ ...REGISTRY, 'Content-Type': MANIFEST_TYPE, 'Docker-Content-Digest': MANIFEST_DIGEST, 'Content-Encoding': 'gzip' },
		MANIFEST.replace('2', '3'),
	),
	'200 of its type and length, but another digest': httpAnswer(
		'200 OK',
		{ ...REGISTRY, 'Content-Type': MANIFEST_TYPE, 'Docker-Content-Digest': OTHER_DIGEST },
		MANIFEST,
	),
	'200 of a ping': httpAnswer('200 OK', { ...REGISTRY, 'Content-Type': 'application/json' }, '{}'),
};

/** What is asked for, and which answers to it are a grant. */
const QUESTIONS: Record<string, { method: string; path: string; grants: string[] }> = {
	blob: { method: 'GET', path: `blobs/${BLOB_DIGEST}`, grants: Object.keys(GRANTED) },
	'a HEAD of a blob': { method: 'HEAD', path: `blobs/${BLOB_DIGEST}`, grants: Object.keys(GRANTED) },
	'another manifest': { method: 'GET', path: `manifests/${OTHER_DIGEST}`, grants: ['200 of another manifest'] },
	// Nothing but its own digest says what a tag ought to be: what hashes to it is the registry's.
	'a tag': {
		method: 'GET',
		path: 'manifests/latest',
		grants: ['200 of the blob', '103, then 200 of the blob', '200 of the remembered manifest'],
	},
	'a HEAD of a tag': { method: 'HEAD', path: 'manifests/latest', grants: ['200 of the remembered manifest'] },
	tags: { method: 'GET', path: 'tags/list', grants: [] },
	referrers: { method: 'GET', path: `referrers/${OTHER_DIGEST}`, grants: [] },
};

interface Attack {
	registry: BrokenServer;
	/** Asks with a token's upstream part. @returns the status */
	get(token: string, path: string, repository?: number, method?: string): Promise<number>;
	/** What the registry says to a token, but of the manifests in memory, which only the good token may have. */
	answers: Map<string, Buffer>;
}

/** The real process, with manifests in memory that the registry gave the good token. Tags are not, so that each question reaches the registry. */
async function prepare(t: TestContext): Promise<Attack> {
	const answers = new Map<string, Buffer>();
	const registry = await startBrokenServer(t, (socket, head) => {
		const token = /^authorization: Bearer (.*)$/im.exec(head)?.[1] ?? '';
		const answer = token === GOOD ? SECRET : head.includes(MANIFEST_DIGEST) ? REFUSAL : (answers.get(token) ?? REFUSAL);
		// Without the body, but with any interim answers.
		socket.write(head.startsWith('HEAD') ? answer.subarray(0, answer.lastIndexOf('\r\n\r\n') + 4) : answer);
	});
	const service = await startProcess(
		t,
		{ apiUrl: upstream.apiUrl, registryUrl: registry.url },
		{ RATE_LIMIT_MAX: '0', MANIFEST_TAG_TTL: '0' },
	);
	const names = Object.fromEntries(REPOSITORIES.map((repository, i) => [`acme/secret-${i}`, [repository, '1.0.0']]));
	const get: Attack['get'] = async (token, path, repository = 0, method = 'GET') => {
		const client = forge(token, { n: names });
		const { status } = await ask(service, `/v2/acme/secret-${repository}/${path}`, { method, token: client, headers: { accept: ACCEPT } });
		return status;
	};
	for (const i of REPOSITORIES.keys()) {
		assert.equal(await get(GOOD, `manifests/${MANIFEST_DIGEST}`, i), 200);
	}
	return { registry, get, answers };
}

test('a token is accepted by a grant alone, and not because the registry, or what is in front of it, did not refuse', async (t) => {
	const { registry, get, answers } = await prepare(t);
	const count = registry.heads.length;
	assert.equal(await get(GOOD, `manifests/${MANIFEST_DIGEST}`), 200);
	assert.equal(registry.heads.length, count, 'it is in memory');
	for (const [i, [asked, { method, path, grants }]] of Object.entries(QUESTIONS).entries()) {
		await t.test(asked, async () => {
			const accepted: string[] = [];
			for (const [j, [name, answer]] of Object.entries(ANSWERS).entries()) {
				const token = `${FORGED}${i}-${j}`;
				assert.equal(await get(token, `manifests/${MANIFEST_DIGEST}`), 401);
				answers.set(token, answer);
				await get(token, path, 0, method).catch(() => undefined);
				if ((await get(token, `manifests/${MANIFEST_DIGEST}`)) === 200) {
					accepted.push(name);
				}
			}
			assert.deepEqual(accepted, grants);
		});
	}
});

test('whatever the registry answers, to whom and in whatever order: a token gets what it was granted, of that repository and no other', async (t) => {
	const { get, answers } = await prepare(t);
	const TOKENS = [0, 1, 2];
	let run = 0;
	const step = fc.record({
		who: fc.constantFrom(...TOKENS),
		repository: fc.constantFrom(...REPOSITORIES.keys()),
		asked: fc.constantFrom(...Object.keys(QUESTIONS)),
		answer: fc.constantFrom(...Object.keys(ANSWERS)),
		interim: fc.array(fc.integer({ min: 102, max: 199 }), { maxLength: 2 }),
	});
	await fc.assert(
		fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
			run++;
			const tokenOf = (who: number): string => `${FORGED}${run}-${who}`;
			const granted = new Set<string>();
			for (const { who, repository, asked, answer, interim } of steps) {
				const { method, path, grants } = QUESTIONS[asked]!;
				answers.set(
					tokenOf(who),
					Buffer.concat([...interim.map((status) => Buffer.from(`HTTP/1.1 ${status} X\r\n\r\n`)), ANSWERS[answer]!]),
				);
				await get(tokenOf(who), path, repository, method).catch(() => undefined);
				if (grants.includes(answer)) {
					granted.add(`${who} ${repository}`);
				}
				if (answer === '401 of a token that is none') {
					REPOSITORIES.forEach((_, i) => granted.delete(`${who} ${i}`));
				}
				for (const each of TOKENS) {
					for (const i of REPOSITORIES.keys()) {
						const status = await get(tokenOf(each), `manifests/${MANIFEST_DIGEST}`, i);
						assert.equal(status, granted.has(`${each} ${i}`) ? 200 : 401, `token ${each}, repository ${i}, after ${asked}: ${answer}`);
					}
				}
			}
		}),
		runs(0.03),
	);
});
