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
import { change, type Change } from './changed-answers.ts';

/* Kind G: whatever the upstreams answer, byte by byte, the process lives, answers, and has no defect. What is changed are real answers. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const PLATFORM = imageOf(upstream, 'acme/pinned', '1.0.0').platforms[0]!;
const BLOB = PLATFORM.layers[0]!.digest;
const MANIFEST = PLATFORM.digest;

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
