import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { ACCEPT, basic, startProxy, type Proxy } from '../../support/proxy.ts';
import { ask, faultAt, setUp, tokenFor, type Question } from '../../support/setup.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import type { Fault } from '../../upstream/relay.ts';
import { closedPort, unresponsivePort } from '../../support/broken-server.ts';
import { assertTold, logged, LONG, type Told } from '../../support/expect.ts';

/* The registry fails before its answer begins: what a client is told, for each kind of request, and within which setting's time. */

const upstream = await sharedUpstream();
const NAME = 'acme/secret';
const IMAGE = imageOf(upstream, NAME);
const LOGIN = basic(upstream.keys.owner);
const headers = { accept: ACCEPT };

/** Every kind of request that reaches the registry. */
const KINDS: Record<string, { path: string; question?: Question }> = {
	'a ping': { path: '/v2/' },
	'a manifest': { path: `/v2/${NAME}/manifests/latest`, question: { headers } },
	'a manifest’s head': { path: `/v2/${NAME}/manifests/latest`, question: { method: 'HEAD', headers } },
	'a part of a manifest': { path: `/v2/${NAME}/manifests/${IMAGE.digest}`, question: { headers: { ...headers, range: 'bytes=0-9' } } },
	'a blob': { path: `/v2/${NAME}/blobs/${IMAGE.platforms[0]!.layers[0]!.digest}` },
	referrers: { path: `/v2/${NAME}/referrers/${IMAGE.digest}` },
	tags: { path: `/v2/${NAME}/1.1.0/tags/list` },
};

const UNREACHABLE: Told = { status: 502, code: 'UNAVAILABLE', words: /registry could not be reached/ };
const FAILED: Told = { status: 502, code: 'UNAVAILABLE', words: /registry failed to answer/ };
const LATE: Told = { status: 504, code: 'UNAVAILABLE', words: /registry did not answer in time/ };
const HTML = '<html>nginx at 10.1.2.3</html>';

/** `toldOfWhole`: for requests whose answer is read whole before anything is sent, where that differs. */
const FAULTS: Record<string, { fault: Fault; told: Told; toldOfWhole?: Told; env?: Record<string, string> }> = {
	'hangs before the headers': { fault: 'hang', told: LATE, env: { REGISTRY_HEADERS_TIMEOUT: '0.3' } },
	'resets the connection': { fault: 'reset', told: UNREACHABLE },
	'answers 500': { fault: { status: 500, body: '{"errors":[{"code":"UNKNOWN","message":"at 10.1.2.3"}]}' }, told: FAILED },
	'answers 502 with HTML': { fault: { status: 502, headers: { 'content-type': 'text/html' }, body: HTML }, told: FAILED },
	'answers 503': {
		fault: { status: 503, headers: { 'retry-after': '7' }, body: HTML },
		told: { status: 503, code: 'UNAVAILABLE', words: /registry is not available/, retryAfter: '7' },
	},
	'answers 503 with a date': {
		fault: { status: 503, headers: { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' } },
		told: { status: 503, code: 'UNAVAILABLE', words: /registry is not available/, retryAfter: '1' },
	},
	'answers 429': {
		fault: { status: 429, headers: { 'retry-after': '7' } },
		told: { status: 429, code: 'TOOMANYREQUESTS', words: /registry answers that there are too many requests/, retryAfter: '7' },
	},
	'answers 403': { fault: { status: 403, body: HTML }, told: { status: 403, code: 'DENIED', words: /does not allow/ } },
	'answers 418': { fault: { status: 418, body: HTML }, told: { status: 418, code: 'UNSUPPORTED', words: /refused the request/ } },
	'answers an error of 100 MB': { fault: { status: 500, body: 'x'.repeat(100_000_000) }, told: FAILED },
	'hangs in the body of an error': {
		fault: { status: 500, headers: { 'content-length': '10' }, body: '' },
		told: FAILED,
		toldOfWhole: LATE,
		env: { REGISTRY_BODY_TIMEOUT: '0.3' },
	},
};

/** A HEAD has no body: only its status can be looked at. */
function assertAnswer(answer: Awaited<ReturnType<typeof ask>>, told: Told, proxy: Proxy, question: Question = {}): void {
	if (question.method === 'HEAD') {
		assert.equal(answer.status, told.status);
		assert.equal(answer.headers['retry-after'], told.retryAfter);
	} else {
		assertTold(answer, told, proxy, [upstream.keys.owner, LOGIN.slice('Basic '.length)]);
	}
}

// A head is asked for by HEAD, which brings no body that could hang.
const WHOLE = ['a manifest', 'tags'];

for (const [fault, { fault: happens, told, toldOfWhole = told, env = {} }] of Object.entries(FAULTS)) {
	test(`the registry ${fault}, asked for`, { timeout: 30_000, concurrency: true }, async (t) => {
		const { proxy, registry } = await setUp(t, { ...LONG, ...env });
		const token = await tokenFor(proxy, [NAME, `${NAME}/1.1.0`], LOGIN);
		registry.fault = faultAt(/./, happens);
		await Promise.all(
			Object.entries(KINDS).map(([kind, { path, question }]) =>
				t.test(kind, { timeout: 20_000 }, async () => {
					assertAnswer(await ask(proxy, path, { ...question, token }), WHOLE.includes(kind) ? toldOfWhole : told, proxy, question);
					// Others are served all the while: from memory, and by the API.
					assert.equal((await ask(proxy, '/ping')).text, 'pong');
					await tokenFor(proxy, 'acme/pinned');
				}),
			),
		);
		registry.fault = () => undefined;
		for (const [kind, { path, question }] of Object.entries(KINDS)) {
			await t.test(`recovers at once: ${kind}`, async () => {
				const { status } = await ask(proxy, path, { ...question, token });
				assert.ok(status < 300 || (status === 404 && kind === 'referrers'), String(status));
			});
		}
	});
}

test('what the registry says of its failure is in the log, and bounded', async (t) => {
	const { proxy, registry } = await setUp(t, LONG);
	const token = await tokenFor(proxy, [NAME, `${NAME}/1.1.0`], LOGIN);
	const errors = [{ code: 'UNKNOWN', message: 'unknown error', detail: 'x'.repeat(1000) }, { code: 'SECOND' }];
	registry.fault = faultAt(/./, { status: 500, body: JSON.stringify({ errors }) });
	const said = `the registry answered with status 500: ${JSON.stringify(errors[0]).slice(0, 300)}`;
	for (const [kind, { path, question }] of Object.entries(KINDS)) {
		await t.test(kind, async () => {
			proxy.log.length = 0;
			const answer = await ask(proxy, path, { ...question, token });
			assert.doesNotMatch(answer.text, /xxx|SECOND/);
			// A head has no words.
			const cause = question?.method === 'HEAD' ? 'the registry answered with status 500' : said;
			assert.equal(logged(proxy, ({ level }) => level >= 50)?.['cause'].message, cause);
		});
	}
});

const GONE: Record<string, { url: (t: TestContext) => Promise<string>; told: Told; env?: Record<string, string> }> = {
	'does not listen': { url: closedPort, told: UNREACHABLE },
	'has a name that DNS does not know': { url: async () => 'http://registry.invalid', told: UNREACHABLE },
	'does not take connections': { url: unresponsivePort, told: LATE, env: { REGISTRY_CONNECT_TIMEOUT: '0.3' } },
};

for (const [what, { url, told, env = {} }] of Object.entries(GONE)) {
	test(`a registry that ${what}`, { timeout: 60_000, concurrency: true }, async (t) => {
		const { proxy: other } = await setUp(t);
		const token = await tokenFor(other, [NAME, `${NAME}/1.1.0`], LOGIN);
		const proxy = await startProxy(t, { apiUrl: upstream.apiUrl, registryUrl: await url(t) }, { ...LONG, ...env });
		const withToken = Object.entries(KINDS).map(([kind, { path, question }]): [string, string, Question] => [
			kind,
			path,
			{ ...question, token },
		]);
		const rows: [string, string, Question][] = [...withToken, ['the challenge', '/v2/', {}], ['a token', '/auth/v1/token', {}]];
		await Promise.all(
			rows.map(([kind, path, question]) =>
				t.test(kind, { timeout: 20_000 }, async () => assertAnswer(await ask(proxy, path, question), told, proxy, question)),
			),
		);
		assert.equal((await ask(proxy, '/ping')).text, 'pong');
	});
}
