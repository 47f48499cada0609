import fc from 'fast-check';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { httpAnswer, startBrokenServer } from '../support/broken-server.ts';
import { LONG } from '../support/expect.ts';
import { ACCEPT, basic, startProxy, type Proxy } from '../support/proxy.ts';
import {
	ask,
	assertError,
	CACHE_MODES,
	CACHES_OFF,
	currentGrantsOf,
	setUp,
	tokenFor,
	upstreamPart,
	type Answer,
} from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/*
 * Every answer of an upstream, with interim ones before it, is cut off somewhere, by a FIN or by a reset. What a client gets is the whole of it, or an error that says
 * so, and the next answer is never taken for this one.
 */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const IMAGE = imageOf(upstream, 'acme/pinned', '1.0.0');
const LAYER = IMAGE.platforms[0]!.layers[0]!.digest;
const INTERIM = 'HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n';

interface Kind {
	/** The request to an upstream that is cut. */
	cut: RegExp;
	method?: 'HEAD';
	/** @param n differs from time to time, where that keeps an answer out of memory */
	path: (n: number) => string;
	authorization?: string;
	isRight: (answer: Answer) => boolean;
}

const TOKEN = (name: string): string => `/auth/v1/token?scope=repository:${name}:pull`;
const hasDigest =
	(digest: string) =>
	({ headers }: Answer): boolean =>
		headers['docker-content-digest'] === digest;
const hasToken = ({ text }: Answer): boolean =>
	Object.values(currentGrantsOf((JSON.parse(text) as { token: string }).token)).every(
		(grant) => Array.isArray(grant) && grant[0] === IMAGE.repository,
	);
/** Its beginnings are as many names. */
const { commit: COMMIT } = upstream.fleets['acme/pinned']!.releases['1.0.0']!;
const SHORTEST = 7;

/** More than is read whole. */
const LARGE = `sha256:${'f'.repeat(64)}`;
const LARGE_BODY = 'x'.repeat(200_000);
const LARGE_ANSWER = httpAnswer('200 OK', { 'Docker-Content-Digest': LARGE }, LARGE_BODY);

/** What is asked, and of whom. */
const KINDS: Record<string, Kind> = {
	'GET of a blob': { cut: /\/blobs\//, path: () => `/v2/${NAME}/blobs/${LAYER}`, isRight: hasDigest(LAYER) },
	'GET of a blob that is streamed': {
		cut: /\/blobs\//,
		path: () => `/v2/${NAME}/blobs/${LARGE}`,
		isRight: ({ text }) => text === LARGE_BODY,
	},
	'HEAD of a blob': { cut: /\/blobs\//, method: 'HEAD', path: () => `/v2/${NAME}/blobs/${LAYER}`, isRight: hasDigest(LAYER) },
	'GET of a tag': { cut: /\/manifests\//, path: () => `/v2/${NAME}/manifests/latest`, isRight: hasDigest(IMAGE.digest) },
	'HEAD of a tag': { cut: /\/manifests\//, method: 'HEAD', path: () => `/v2/${NAME}/manifests/latest`, isRight: hasDigest(IMAGE.digest) },
	'GET of a manifest': { cut: /\/manifests\//, path: () => `/v2/${NAME}/manifests/${IMAGE.digest}`, isRight: hasDigest(IMAGE.digest) },
	'HEAD of a manifest': {
		cut: /\/manifests\//,
		method: 'HEAD',
		path: () => `/v2/${NAME}/manifests/${IMAGE.digest}`,
		isRight: hasDigest(IMAGE.digest),
	},
	'a ping': { cut: /GET \/v2\/ /, path: () => '/v2/', isRight: ({ text }) => text === '{}' },
	'a token': { cut: /\/auth\//, path: () => TOKEN(NAME), authorization: basic(upstream.keys.owner), isRight: hasToken },
	'a query': {
		cut: /\/v7\//,
		path: (n) => TOKEN(`acme/pinned/${COMMIT.slice(0, SHORTEST + (n % (COMMIT.length - SHORTEST + 1)))}`),
		isRight: hasToken,
	},
};

interface Cutter {
	proxy: Proxy;
	/** Cuts the next answer to a request of a kind after some of its bytes, with so many interim ones before it. @returns what its client got, and how long it would have been */
	run(kind: Kind, cut: { at: (bytes: Buffer) => number; end: (socket: Socket) => void; interim: number }): Promise<void>;
}

const ENDS: Record<string, (socket: Socket) => void> = { FIN: (socket) => socket.end(), 'a reset': (socket) => socket.resetAndDestroy() };

async function startCutter(t: TestContext, env: Record<string, string>): Promise<Cutter> {
	const { proxy: sound } = await setUp(t);
	const token = await tokenFor(sound, NAME);
	/** Their own answers, by what was asked. */
	const answers = new Map<string, Buffer>();
	let plan: { cut: RegExp; at: (bytes: Buffer) => number; end: (socket: Socket) => void; interim: number } | undefined;
	let length = 0;
	let cutAt = 0;
	let times = 0;
	const before =
		(target: string) =>
		async (socket: Socket, head: string): Promise<void> => {
			const key = head.replace(/^x-request-id:.*$/im, '');
			const whole = head.includes(LARGE) ? LARGE_ANSWER : (answers.get(key) ?? (await answerOf(target, head)));
			answers.set(key, whole);
			if (plan === undefined || !plan.cut.test(head)) {
				socket.write(whole);
				return;
			}
			const { at, end, interim } = plan;
			plan = undefined;
			times++;
			const bytes = Buffer.concat([Buffer.from(INTERIM.repeat(interim)), whole]);
			length = bytes.length;
			cutAt = at(bytes);
			socket.write(bytes.subarray(0, cutAt), () => end(socket));
		};
	const api = await startBrokenServer(t, (socket, head) => void before(upstream.apiUrl)(socket, head));
	const registry = await startBrokenServer(t, (socket, head) => void before(upstream.registryUrl)(socket, head));
	const proxy = await startProxy(t, { apiUrl: api.url, registryUrl: registry.url }, { ...LONG, ...env, RATE_LIMIT_MAX: '0' });
	let n = 0;
	return {
		proxy,
		async run({ cut, method = 'GET', path, authorization = `Bearer ${token}`, isRight }, how) {
			n++;
			// What was accepted before is asked again.
			proxy.app.clientTokens.forget(upstreamPart(token));
			const question = {
				method,
				headers: { accept: ACCEPT, ...(path(n).startsWith('/auth') && authorization.startsWith('Bearer') ? {} : { authorization }) },
			};
			plan = { cut, ...how };
			const timesBefore = times;
			const answer = await ask(proxy, path(n), question).catch((error: Error) => error);
			assert.equal(times, timesBefore + 1, 'it was asked');
			if (answer instanceof Error) {
				// It broke as the upstream's did.
				assert.equal((answer as NodeJS.ErrnoException).code, 'ECONNRESET');
			} else if (answer.status === 200) {
				assert.ok(isRight(answer), answer.text);
				// Of none of its bytes, it was asked for once more.
				assert.ok(cutAt === length || cutAt === 0, `an answer of ${cutAt} bytes of ${length}`);
			} else if (method === 'HEAD') {
				assert.equal(answer.status, 502);
			} else {
				assertError(answer, 502, 'UNAVAILABLE');
			}
			if (cutAt === length && how.end === ENDS.FIN) {
				assert.equal((answer as Answer).status, 200, 'all of it has come');
			}
			plan = undefined;
			const next = await ask(proxy, path(n), question);
			assert.equal(next.status, 200, next.text);
			assert.ok(isRight(next), 'the next one is its own');
		},
	};
}

/** An upstream's own answer, as bytes with a length. */
async function answerOf(target: string, head: string): Promise<Buffer> {
	const [first = '', ...lines] = head.split('\r\n');
	const [method = '', path = ''] = first.split(' ');
	const headers = Object.fromEntries(
		lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
	);
	delete headers['connection'];
	headers['host'] = new URL(target).host;
	const [incoming] = (await once(request(target + path, { method, headers, agent: false }).end(), 'response')) as [IncomingMessage];
	const body = await buffer(incoming);
	const { connection: _connection, 'keep-alive': _keepAlive, 'transfer-encoding': _encoding, ...kept } = incoming.headers;
	return httpAnswer(`${incoming.statusCode} ${incoming.statusMessage}`, kept as Record<string, string>, body);
}

const afterHead = (bytes: Buffer): number => bytes.lastIndexOf('\r\n\r\n') + 4;
/** Where something begins or ends. */
const PLACES: Record<string, (bytes: Buffer) => number> = {
	'before a byte': () => 0,
	'after one byte': () => 1,
	'in the first line': () => 10,
	'before the end of the interim answer': () => INTERIM.length - 1,
	'after the interim answer': () => INTERIM.length,
	'in the first line of the final answer': () => INTERIM.length + 12,
	'in its headers': (bytes) => Math.floor((INTERIM.length + afterHead(bytes)) / 2),
	'before the end of its headers': (bytes) => afterHead(bytes) - 1,
	'before the last byte': (bytes) => bytes.length - 1,
	'after the last byte': (bytes) => bytes.length,
};

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	test(`at each place where something begins or ends; ${mode}`, { timeout: 120_000 }, async (t) => {
		const cutter = await startCutter(t, env);
		for (const [name, kind] of Object.entries(KINDS)) {
			await t.test(name, async () => {
				for (const [place, at] of Object.entries(PLACES)) {
					for (const [how, end] of Object.entries(ENDS)) {
						await cutter.run(kind, { at, end, interim: 1 }).catch((error: Error) => {
							throw new Error(`${how} ${place}`, { cause: error });
						});
					}
				}
			});
		}
	});
}

test('at any byte', { timeout: 240_000 }, async (t) => {
	const cutter = await startCutter(t, CACHES_OFF);
	await fc.assert(
		fc.asyncProperty(
			fc.constantFrom(...Object.keys(KINDS)),
			fc.constantFrom(...Object.keys(ENDS)),
			fc.nat({ max: 3 }),
			fc.nat({ max: 1_000_000 }),
			async (kind, end, interim, at) => cutter.run(KINDS[kind]!, { at: (bytes) => at % (bytes.length + 1), end: ENDS[end]!, interim }),
		),
		{ numRuns: Number(process.env['FUZZ_RUNS'] ?? 200) },
	);
});
