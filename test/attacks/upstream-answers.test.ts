import fc from 'fast-check';
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { runs } from '../properties/check.ts';
import { httpAnswer, startBrokenServer } from '../support/broken-server.ts';
import { startProcess, type ServiceProcess } from '../support/process.ts';
import { ACCEPT } from '../support/proxy.ts';
import { ask, begin, CACHES_OFF, tokenFor, type Question } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Kind G: whatever the upstreams answer, byte by byte, the process lives, answers, and has no defect. What is changed are real answers. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const PLATFORM = imageOf(upstream, 'acme/pinned', '1.0.0').platforms[0]!;
const BLOB = PLATFORM.layers[0]!.digest;
const MANIFEST = PLATFORM.digest;

/** What is changed of an answer; all of them in a row. */
type Change = (answer: Buffer) => Buffer;

/** A place in an answer: of the head, where the syntax is, more often than of the body. */
const place = fc.record({ inHead: fc.boolean(), at: fc.double({ min: 0, max: 1, noNaN: true }) });
type Place = typeof place extends fc.Arbitrary<infer P> ? P : never;

function endOfHead(answer: Buffer): number {
	const at = answer.indexOf('\r\n\r\n');
	return at < 0 ? answer.length : at + 4;
}
const offset = (answer: Buffer, { inHead, at }: Place): number => Math.floor(at * (inHead ? endOfHead(answer) : answer.length));
const spliced = (answer: Buffer, at: number, length: number, bytes: Uint8Array | string): Buffer =>
	Buffer.concat([answer.subarray(0, at), Buffer.from(bytes as string), answer.subarray(at + length)]);
const withHead = (answer: Buffer, head: string): Buffer => Buffer.concat([Buffer.from(head, 'latin1'), answer.subarray(endOfHead(answer))]);
const headOf = (answer: Buffer): string => answer.toString('latin1', 0, endOfHead(answer));

const STATUS_LINES = [
	...[0, 1, 99, 100, 101, 102, 103, 199, 200, 201, 204, 205, 206, 226, 299, 300, 301, 302, 303, 304, 307, 308, 399],
	...[400, 401, 403, 404, 405, 407, 408, 416, 418, 429, 451, 499, 500, 501, 502, 503, 504, 511, 599, 600, 666, 999, 1000, -1],
].map((status) => `HTTP/1.1 ${status} X`);
const ODD_LINES = [
	'HTTP/1.0 200 OK',
	'HTTP/2 200',
	'HTTP/1.1 200',
	'HTTP/1.1  200 OK',
	'ICY 200 OK',
	'HTTP/1.1 2x0 OK',
	'GET / HTTP/1.1',
	'',
];
const FIELDS = [
	...['0', '1', '-1', '+2', '99999999999999999999', '2, 2', '0x10', ''].map((length) => `Content-Length: ${length}`),
	...['chunked', 'identity', 'gzip, chunked', 'chunked, chunked', 'xchunked'].map((coding) => `Transfer-Encoding: ${coding}`),
	...['gzip', 'br', 'identity', 'x, y'].map((coding) => `Content-Encoding: ${coding}`),
	...[
		'',
		'/',
		'//',
		'//[',
		'http://',
		'http://127.0.0.1:1/x',
		'http://[::1',
		'\\\\x',
		'data:,x',
		'/v2/../..',
		'https://a/\x01',
		'https://\xe9/',
	].map((location) => `Location: ${location}`),
	...['Bearer', 'Bearer realm=', 'Bearer realm="x",error="\xff"', `Bearer ${'a="b",'.repeat(500)}`, 'Basic', ''].map(
		(challenge) => `WWW-Authenticate: ${challenge}`,
	),
	...['', 'close', 'keep-alive', 'content-length, content-type, location', 'upgrade', '__proto__, constructor'].map(
		(connection) => `Connection: ${connection}`,
	),
	...['sha256:', 'sha256:0', `sha256:${'0'.repeat(64)}`, `sha512:${'0'.repeat(128)}`, '\xe2\x82\xac', 'a'.repeat(5000)].map(
		(digest) => `Docker-Content-Digest: ${digest}`,
	),
	...['', '-1', '1e9', '999999999999', 'Thu, 01 Jan 1970 00:00:00 GMT', 'Thu, 99 Jan'].map((after) => `Retry-After: ${after}`),
	...['</x>; rel="next"', '<', '</v2/x/tags/list?last=x&n=1>; rel=next', '<//evil/x>; rel="next"'].map((link) => `Link: ${link}`),
	...['bytes 0-1/2', 'bytes */0', 'bytes 5-1/2', 'x'].map((range) => `Content-Range: ${range}`),
	...['text/html', '\xe2\x82\xac/x', '', 'application/json; charset=\xff', 'a'.repeat(9000)].map((type) => `Content-Type: ${type}`),
	...['"\xe2\x82\xac"', 'W/"x"', ''].map((tag) => `ETag: ${tag}`),
	'Warning: 299 - "\xe2\x82\xac\x07"',
	'Vary: *',
	'Set-Cookie: a=b',
	'__proto__: x',
	'constructor: x',
	'Upgrade: h2c',
	'Trailer: x',
	`X: ${'a'.repeat(20_000)}`,
	': x',
	'no colon',
	' folded',
	'X : y',
];
const BODIES = [
	...['null', '[]', '{}', '""', '0', '1e999', '{"d":null}', '{"d":{}}', '{"d":[null]}', '{"d":[[]]}', '{"d":[{"id":{}}]}', '{"d":"x"}'],
	...[
		'{"token":null}',
		'{"token":1}',
		'{"token":"a"}',
		'{"token":"a.b.c"}',
		'{"token":"e30.e30.x"}',
		'{"token":{"x":1}}',
		'{"__proto__":{"x":1}}',
	],
	...[
		'{"tags":null}',
		'{"tags":[null]}',
		'{"tags":{}}',
		'{"tags":"x"}',
		'{"schemaVersion":2,"layers":{}}',
		'{"manifests":[null,1,{"digest":{}}]}',
	],
	...[
		'',
		'<html>',
		'\u0000',
		'\ufeff{}',
		'['.repeat(20_000),
		`{"a":${'['.repeat(5000)}`,
		'{"errors":[{"code":1,"message":{}}]}',
		'\xff\xfe',
	],
];
const PIECES = [
	'\r\n',
	'\n',
	'\r',
	'\0',
	':',
	' ',
	'\t',
	'HTTP/1.1 200 OK\r\n\r\n',
	'\r\n\r\n',
	'0\r\n\r\n',
	'\xff',
	'"',
	'{',
	',',
	'%',
	'\\',
];
const SIZES = ['0', '1', 'FFFFFFFFFFFFFFFF', '10000000000000000', '-1', '', 'x', '2;ext=1', ' 2', '0x2', '00000000000000000002'];

const change: fc.Arbitrary<Change> = fc.oneof(
	place.map(
		(at): Change =>
			(answer) =>
				answer.subarray(0, offset(answer, at)),
	),
	fc.tuple(place, fc.integer({ min: 1, max: 255 })).map(([at, mask]): Change => (answer) => {
		const i = offset(answer, at);
		return i < answer.length ? spliced(answer, i, 1, Uint8Array.of(answer[i]! ^ mask)) : answer;
	}),
	fc.tuple(place, fc.oneof(fc.constantFrom(...PIECES), fc.uint8Array({ minLength: 1, maxLength: 20 }))).map(
		([at, bytes]): Change =>
			(answer) =>
				spliced(answer, offset(answer, at), 0, bytes),
	),
	fc.tuple(place, fc.nat({ max: 50 })).map(
		([at, length]): Change =>
			(answer) =>
				spliced(answer, offset(answer, at), length, ''),
	),
	fc.constantFrom(...STATUS_LINES, ...ODD_LINES).map(
		(line): Change =>
			(answer) =>
				withHead(
					answer,
					headOf(answer).replace(/^[^\r\n]*/, () => line),
				),
	),
	fc.array(fc.integer({ min: 100, max: 199 }), { minLength: 1, maxLength: 30 }).map(
		(all): Change =>
			(answer) =>
				Buffer.concat([...all.map((status) => Buffer.from(`HTTP/1.1 ${status} X\r\nLink: </x>\r\n\r\n`)), answer]),
	),
	fc.array(fc.constantFrom(...FIELDS), { minLength: 1, maxLength: 4 }).map(
		(fields): Change =>
			(answer) =>
				withHead(
					answer,
					headOf(answer).replace('\r\n', () => `\r\n${fields.map((field) => `${field}\r\n`).join('')}`),
				),
	),
	// In place of the field of that name.
	fc.constantFrom(...FIELDS).map((field): Change => (answer) => {
		const name = field.split(':', 1)[0]!.toLowerCase();
		const lines = headOf(answer)
			.split('\r\n')
			.filter((line) => !line.toLowerCase().startsWith(`${name}:`));
		return withHead(answer, [lines[0], field, ...lines.slice(1)].join('\r\n'));
	}),
	fc.oneof(fc.constantFrom(...BODIES), fc.json()).map((body): Change => (answer) => {
		const bytes = Buffer.from(body);
		return Buffer.concat([
			Buffer.from(headOf(answer).replace(/content-length: *\d+/i, `Content-Length: ${bytes.length}`), 'latin1'),
			bytes,
		]);
	}),
	fc.array(fc.tuple(fc.constantFrom(...SIZES), fc.string({ maxLength: 4 })), { maxLength: 5 }).map(
		(chunks): Change =>
			(answer) =>
				Buffer.concat([
					Buffer.from(headOf(answer).replace(/content-length: *\d+/i, 'Transfer-Encoding: chunked'), 'latin1'),
					Buffer.from(chunks.map(([size, bytes]) => `${size}\r\n${bytes}\r\n`).join('')),
				]),
	),
	fc.constant<Change>((answer) => Buffer.concat([answer, answer])),
);

/** What is asked, and of which upstream the answers are changed. */
const QUESTIONS: Record<string, { path: string; question?: Question; needsToken?: boolean }> = {
	'a token': { path: `/auth/v1/token?scope=repository:${NAME}:pull` },
	'a token for a name that is not there': { path: '/auth/v1/token?scope=repository:acme/nowhere:pull' },
	'a login': {
		path: `/auth/v1/token?scope=repository:acme/secret:pull`,
		question: { headers: { authorization: `Basic ${btoa(`u:${upstream.keys.owner}`)}` } },
	},
	'a ping': { path: '/v2/', needsToken: true },
	'a manifest by tag': { path: `/v2/${NAME}/manifests/latest`, needsToken: true },
	'a manifest by digest': { path: `/v2/${NAME}/manifests/${MANIFEST}`, needsToken: true },
	'a HEAD of a manifest': { path: `/v2/${NAME}/manifests/latest`, question: { method: 'HEAD' }, needsToken: true },
	'a blob': { path: `/v2/${NAME}/blobs/${BLOB}`, needsToken: true },
	'a part of a blob': { path: `/v2/${NAME}/blobs/${BLOB}`, question: { headers: { range: 'bytes=2-5' } }, needsToken: true },
	'a HEAD of a blob': { path: `/v2/${NAME}/blobs/${BLOB}`, question: { method: 'HEAD' }, needsToken: true },
	'a blob of another release': { path: `/v2/acme/pinned/blobs/sha256:${'1'.repeat(64)}`, needsToken: true },
	'a tag that is a release': { path: '/v2/acme/pinned/manifests/1.0.0', needsToken: true },
	tags: { path: `/v2/${NAME}/tags/list`, needsToken: true },
	'tags of a fleet': { path: '/v2/acme/pinned/tags/list', needsToken: true },
	referrers: { path: `/v2/${NAME}/referrers/${MANIFEST}`, needsToken: true },
	'a page': { path: '/acme/pinned' },
	'a trial': { path: '/?reference=acme/pinned:1.0.0' },
	readiness: { path: '/ready' },
};

interface Fuzzed {
	service: ServiceProcess;
	token: string;
	/** Of what is answered to from now on. */
	changes: { api: Change[]; registry: Change[]; inPieces: boolean };
}

/** The real process in front of the real stand-in, whose answers are changed on their way. */
async function start(t: TestContext, env: Record<string, string>): Promise<Fuzzed> {
	const changes: Fuzzed['changes'] = { api: [], registry: [], inPieces: false };
	const between = (of: 'api' | 'registry', url: string) => async (socket: Socket, head: string) => {
		const [first = '', ...lines] = head.split('\r\n');
		const [method = '', path = ''] = first.split(' ');
		const headers = Object.fromEntries(
			lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
		);
		const real = await ask({ url }, path, { method, headers: { ...headers, connection: 'close' } });
		const { connection: _c, 'transfer-encoding': _t, 'content-length': length, ...rest } = real.headers;
		const bytes = httpAnswer(
			`${real.status} ${real.reason}`,
			{ ...(rest as Record<string, string>), ...(method === 'HEAD' && length !== undefined ? { 'Content-Length': length } : {}) },
			real.text,
		);
		const changed = changes[of].reduce((answer, each) => each(answer), bytes);
		for (const piece of changes.inPieces ? [changed.subarray(0, 20), changed.subarray(20, 21), changed.subarray(21)] : [changed]) {
			socket.write(piece);
			await sleep(0);
		}
		if (changes[of].length > 0) {
			// So that nobody waits for what does not come.
			setTimeout(() => socket.end(), 20);
		}
	};
	const [api, registry] = await Promise.all([
		startBrokenServer(t, (socket, head) => void between('api', upstream.apiUrl)(socket, head)),
		startBrokenServer(t, (socket, head) => void between('registry', upstream.registryUrl)(socket, head)),
	]);
	const service = await startProcess(t, { apiUrl: api.url, registryUrl: registry.url }, { RATE_LIMIT_MAX: '0', ...env });
	return { service, token: await tokenFor(service, [NAME, 'acme/pinned']), changes };
}

async function pull({ service }: Fuzzed): Promise<void> {
	const token = await tokenFor(service, NAME);
	for (const path of [`manifests/${MANIFEST}`, `blobs/${BLOB}`]) {
		assert.equal((await ask(service, `/v2/${NAME}/${path}`, { token, headers: { accept: ACCEPT } })).status, 200);
	}
}

/** What the log says of faults of this service itself. */
const DEFECT = /something went wrong in the proxy|an answer could not be sent|ending after an error|Unhandled|ERR_HTTP_HEADERS_SENT/;

test(
	'upstreams that answer anything at all, byte by byte: each request is answered, and the process has no defect',
	{ timeout: 3_600_000 },
	async (t) => {
		const fuzzed = await start(t, CACHES_OFF);
		const { service, token, changes } = fuzzed;
		const one = fc.record({
			asked: fc.constantFrom(...Object.keys(QUESTIONS)),
			of: fc.constantFrom('api' as const, 'registry' as const),
			how: fc.array(change, { minLength: 1, maxLength: 3 }),
			inPieces: fc.boolean(),
		});
		await fc.assert(
			fc.asyncProperty(one, async ({ asked, of, how, inPieces }) => {
				const { path, question, needsToken = false } = QUESTIONS[asked]!;
				Object.assign(changes, { api: [], registry: [], inPieces, [of]: how });
				const incoming = await begin(service, path, {
					...question,
					...(needsToken ? { token } : {}),
					headers: { ...question?.headers, ...(needsToken ? { accept: ACCEPT } : {}) },
					signal: AbortSignal.timeout(20_000),
				});
				// A body that is on its way may break off; an error may not.
				const body = await text(incoming).catch((error: unknown) => error as Error);
				const status = incoming.statusCode!;
				assert.ok(status >= 200 && status <= 599 && status !== 500, `status ${status}`);
				assert.ok(typeof body === 'string' || status === 200 || status === 206, `an answer of ${status} broke off`);
				if (status >= 400 && (question?.method ?? 'GET') === 'GET' && needsToken) {
					assert.equal(typeof JSON.parse(body as string).errors[0].code, 'string');
				}
				assert.equal(service.child.exitCode, null);
				const defect = service.lines.find((line) => line.reqId === incoming.headers['x-request-id'] && DEFECT.test(JSON.stringify(line)));
				assert.equal(defect, undefined, JSON.stringify(defect));
			}),
			runs(0.2),
		);
		Object.assign(changes, { api: [], registry: [] });
		await pull(fuzzed);
		assert.deepEqual(
			service.lines.filter((line) => line.level >= 60 || DEFECT.test(JSON.stringify(line))),
			[],
		);
		assert.equal(service.child.exitCode, null);
	},
);
