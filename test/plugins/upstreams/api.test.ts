import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { basic, startProxy, type Proxy } from '../../support/proxy.ts';
import { ask, assertError, faultAt, setUp, tokenFor, type Answer } from '../../support/setup.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import type { Fault } from '../../upstream/relay.ts';
import { closedPort, httpAnswer, startBrokenServer, unresponsivePort } from '../../support/broken-server.ts';
import { until } from '../../support/until.ts';
import { assertTold, LONG, type Told } from '../../support/expect.ts';

/* The balena API fails in every way it can: what a client is told, in what form, within which setting's time, and that the log knows and nothing leaks. */

const upstream = await sharedUpstream();
const KEY = upstream.keys.owner;
const SECRETS = [KEY, basic(KEY).slice('Basic '.length)];
const NAME = 'acme/secret';
const PATH = `/auth/v1/token?scope=repository:${NAME}:pull`;

const UNREACHABLE: Told = { status: 502, code: 'UNAVAILABLE', words: /API could not be reached/ };
const LATE: Told = { status: 504, code: 'UNAVAILABLE', words: /API did not answer in time/ };
const UNAVAILABLE: Told = { status: 503, code: 'UNAVAILABLE', words: /API is not available now/ };
const MANY: Told = { status: 429, code: 'TOOMANYREQUESTS', words: /API answers that there are too many requests/ };
const PAST = 'Wed, 21 Oct 2015 07:28:00 GMT';
const HTML = '<html><body>502 Bad Gateway: 10.1.2.3</body></html>';
const MEGABYTES = 1_000_000;

/** Both questions that a request for a token makes. */
const QUESTIONS = { 'the query': /^\/v7\//, 'the token': /^\/auth\// };

const FAULTS: Record<string, { fault: Fault; told: Told; env?: Record<string, string> }> = {
	hangs: { fault: 'hang', told: LATE, env: { API_TIMEOUT: '1' } },
	'hangs in the middle of the body': { fault: { hangAfterBytes: 10 }, told: LATE, env: { API_TIMEOUT: '1' } },
	'is slower than API_TIMEOUT': { fault: { delayMs: 2000 }, told: LATE, env: { API_TIMEOUT: '1' } },
	'resets the connection': { fault: 'reset', told: UNREACHABLE },
	'ends in the middle of the body': { fault: { truncateAfterBytes: 10 }, told: UNREACHABLE },
	'answers 500': { fault: { status: 500, body: 'at 10.1.2.3' }, told: UNREACHABLE },
	'answers 502 with HTML': { fault: { status: 502, headers: { 'content-type': 'text/html' }, body: HTML }, told: UNREACHABLE },
	'answers 503': { fault: { status: 503 }, told: UNAVAILABLE },
	'answers 503 with seconds': { fault: { status: 503, headers: { 'retry-after': '30' } }, told: { ...UNAVAILABLE, retryAfter: '30' } },
	'answers 503 with a date': { fault: { status: 503, headers: { 'retry-after': PAST } }, told: { ...UNAVAILABLE, retryAfter: '1' } },
	'answers 503 with nonsense': { fault: { status: 503, headers: { 'retry-after': 'soon' } }, told: UNAVAILABLE },
	'answers 429': { fault: { status: 429, headers: { 'retry-after': '30' } }, told: { ...MANY, retryAfter: '30' } },
	'answers 429 with a date': { fault: { status: 429, headers: { 'retry-after': PAST } }, told: { ...MANY, retryAfter: '1' } },
	'answers 429 with nonsense': { fault: { status: 429, headers: { 'retry-after': 'soon' } }, told: { ...MANY, retryAfter: '60' } },
	'answers 200 with HTML': { fault: { status: 200, headers: { 'content-type': 'text/html' }, body: HTML }, told: UNREACHABLE },
	'answers invalid JSON': { fault: { status: 200, headers: { 'content-type': 'application/json' }, body: '{"d":[{' }, told: UNREACHABLE },
	'answers JSON of another form': {
		fault: { status: 200, headers: { 'content-type': 'application/json' }, body: '{"d":[{"commit":7}],"token":[]}' },
		told: UNREACHABLE,
	},
	'answers null': { fault: { status: 200, headers: { 'content-type': 'application/json' }, body: 'null' }, told: UNREACHABLE },
	'answers nothing': { fault: { status: 200, headers: { 'content-type': 'application/json' }, body: '' }, told: UNREACHABLE },
	'answers 8 MB': {
		fault: { status: 200, headers: { 'content-type': 'application/json' }, body: `{"d":[],"token":"${'x'.repeat(8 * MEGABYTES)}"}` },
		told: UNREACHABLE,
	},
	'redirects elsewhere': { fault: { status: 302, headers: { location: 'http://169.254.169.254/latest/meta-data/' } }, told: UNREACHABLE },
};

for (const [question, path] of Object.entries(QUESTIONS)) {
	test(`the API, asked for ${question},`, { timeout: 60_000 }, async (t) => {
		for (const [name, { fault, told, env = {} }] of Object.entries(FAULTS)) {
			await t.test(name, { timeout: 20_000 }, async (t) => {
				const { proxy, api } = await setUp(t, { ...LONG, ...env });
				// The SDK is loaded and the challenge learned, so that the short wait is the API's alone.
				await tokenFor(proxy, 'acme/pinned');
				api.fault = faultAt(path, fault);
				for (const authorization of [basic(KEY), undefined]) {
					const name = authorization === undefined ? 'acme/multi-arch' : NAME;
					const answer = await ask(proxy, `/auth/v1/token?scope=repository:${name}:pull`, {
						headers: authorization === undefined ? {} : { authorization },
					});
					assertTold(answer, told, proxy, SECRETS);
				}
				// It recovers at once; under another name, because whom the API told to wait waits.
				api.fault = () => undefined;
				await tokenFor(proxy, NAME, basic(KEY, 'another'));
			});
		}
	});
}

/** The service with its registry, and a server that answers anything in the API's place. */
async function withBrokenApi(t: TestContext, bytes: Buffer, env: Record<string, string> = {}): Promise<{ proxy: Proxy; seen: string[] }> {
	const { url, heads } = await startBrokenServer(t, (socket) => void socket.write(bytes));
	return { proxy: await startProxy(t, { apiUrl: url, registryUrl: upstream.registryUrl }, { ...LONG, ...env }), seen: heads };
}

test('the API answers bytes that', { timeout: 60_000 }, async (t) => {
	// 200 MB of zeros in 200 KB.
	const bomb = gzipSync(Buffer.alloc(200 * MEGABYTES));
	const json = { 'Content-Type': 'application/json' };
	const rows: Record<string, { bytes: Buffer; told?: Told; env?: Record<string, string> }> = {
		'are a gzip bomb': { bytes: httpAnswer('200 OK', { ...json, 'Content-Encoding': 'gzip' }, bomb) },
		'are a gzip bomb that does not say so': { bytes: httpAnswer('200 OK', json, bomb) },
		'are a gzip bomb of an error': { bytes: httpAnswer('500 Oh', { ...json, 'Content-Encoding': 'gzip' }, bomb) },
		'are no HTTP': { bytes: Buffer.from('SSH-2.0-OpenSSH_9.2p1\r\n') },
		'have a status beyond all': { bytes: httpAnswer('999 What', json, '{}') },
		'have both lengths': {
			bytes: httpAnswer('200 OK', { ...json, 'Content-Length': '2', 'Transfer-Encoding': 'chunked' }, '2\r\n{}\r\n0\r\n\r\n'),
		},
		'have headers of 1 MB': { bytes: httpAnswer('200 OK', { ...json, 'X-Long': 'x'.repeat(MEGABYTES) }, '{}') },
		'promise 1 GB and send little': {
			bytes: httpAnswer('200 OK', { ...json, 'Content-Length': '1000000000' }, '{'),
			told: LATE,
			env: { API_TIMEOUT: '0.3' },
		},
		'say 100 for ever': {
			bytes: Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'.repeat(10)),
			told: { ...UNREACHABLE, words: /API/ },
			env: { API_TIMEOUT: '0.3' },
		},
	};
	for (const [name, { bytes, told = UNREACHABLE, env }] of Object.entries(rows)) {
		await t.test(name, { timeout: 20_000 }, async (t) => {
			const { proxy } = await withBrokenApi(t, bytes, env);
			const before = process.memoryUsage.rss();
			const answer = await ask(proxy, PATH, { headers: { authorization: basic(KEY) } });
			assertTold(answer, name.includes('for ever') ? { ...told, status: answer.status } : told, proxy, SECRETS);
			assert.ok(answer.status === 502 || answer.status === 504);
			assert.ok(process.memoryUsage.rss() - before < 150 * MEGABYTES, 'the bomb went off');
		});
	}
});

const GONE: Record<string, { url: (t: TestContext) => Promise<string>; told: Told; env?: Record<string, string> }> = {
	'does not listen': { url: closedPort, told: UNREACHABLE },
	'has a name that DNS does not know': { url: async () => 'http://api.invalid', told: UNREACHABLE },
	'does not take connections': { url: unresponsivePort, told: LATE, env: { API_TIMEOUT: '0.3' } },
};

for (const [what, { url, told, env = {} }] of Object.entries(GONE)) {
	test(`an API that ${what}`, { timeout: 20_000 }, async (t) => {
		const proxy = await startProxy(t, { apiUrl: await url(t), registryUrl: upstream.registryUrl }, { ...LONG, ...env });
		for (const path of [PATH, '/auth/v1/token']) {
			assertTold(await ask(proxy, path, { headers: { authorization: basic(KEY) } }), told, proxy, SECRETS);
		}
		assert.equal((await ask(proxy, '/ping')).text, 'pong');
		assert.equal((await ask(proxy, '/v2/')).status, 401);
	});
}

test('the API asks to be left alone, and says for how long:', { timeout: 60_000 }, async (t) => {
	const saying = (retryAfter?: string): Fault => ({
		status: 429,
		...(retryAfter === undefined ? {} : { headers: { 'retry-after': retryAfter } }),
	});
	const other = basic(KEY, 'another');
	/** What is asked next, and how many requests of it the API sees. */
	const rows: Record<
		string,
		{ fault: Fault; name?: string; authorization?: string; after?: number; status: number; retryAfter?: string; asks: boolean }
	> = {
		'the same name waits': { fault: saying('7'), name: NAME, status: 429, retryAfter: '7', asks: false },
		'another name of the same caller waits': { fault: saying('7'), status: 429, retryAfter: '7', asks: false },
		'until then only': { fault: saying('7'), after: 7001, status: 200, asks: true },
		'and five minutes at the most': { fault: saying('99999'), after: 300_001, status: 200, asks: true },
		'another caller does not': { fault: saying('7'), authorization: other, status: 200, asks: true },
		'without a time nobody waits': { fault: saying(), status: 200, asks: true },
	};
	for (const [question, path] of Object.entries(QUESTIONS)) {
		for (const [
			what,
			{ fault, name = 'acme/secret/1.0.0', authorization = basic(KEY), after = 0, status, retryAfter, asks },
		] of Object.entries(rows)) {
			await t.test(`${what}; said of ${question}`, async (t) => {
				const { proxy, api } = await setUp(t, LONG);
				await tokenFor(proxy, 'acme/pinned');
				api.fault = faultAt(path, fault);
				assert.equal((await ask(proxy, PATH, { headers: { authorization: basic(KEY) } })).status, 429);
				api.fault = () => undefined;
				api.requests = [];
				const now = Date.now();
				t.mock.method(Date, 'now', () => now + after);
				const answer = await ask(proxy, `/auth/v1/token?scope=repository:${name}:pull`, { headers: { authorization } });
				assert.deepEqual([answer.status, answer.headers['retry-after']], [status, retryAfter]);
				assert.equal(api.requests.length > 0, asks);
			});
		}
	}
});

test('the API is told who asks', async (t) => {
	const rows: Record<string, { env: Record<string, string>; agent: RegExp }> = {
		'name, version, and where to read about it': {
			env: {},
			agent: /^open-balena-registry-proxy\/\d+\.\d+\.\d+\S* \(\+https:\/\/github\.com\/\S+\)$/,
		},
		'or the installation’s own address': {
			env: { PUBLIC_URL: 'https://images.example' },
			agent: /^open-balena-registry-proxy\/\S+ \(\+https:\/\/images\.example\)$/,
		},
	};
	for (const [name, { env, agent }] of Object.entries(rows)) {
		await t.test(name, async (t) => {
			const { proxy, api } = await setUp(t, env);
			await ask(proxy, PATH, { headers: { authorization: basic(KEY) } });
			for (const path of Object.values(QUESTIONS)) {
				const asked = api.requests.filter(({ url }) => path.test(url));
				assert.ok(asked.length > 0);
				for (const { headers } of asked) {
					assert.match(headers['user-agent']!, agent);
				}
			}
		});
	}
});

test(
	'answers of the API have a budget together: what is small fits into it beside any number of large ones',
	{ timeout: 60_000 },
	async (t) => {
		const LARGE = 900_000;
		const { url, heads } = await startBrokenServer(t, (socket, head) => {
			if (head.includes('large')) {
				// All but its end.
				socket.write(httpAnswer('200 OK', { 'Content-Type': 'application/json', 'Content-Length': String(LARGE + 1) }, ' '.repeat(LARGE)));
			} else {
				socket.write(
					httpAnswer('200 OK', { 'Content-Type': 'application/json' }, head.includes('/auth/') ? '{"token":"e30.e30.e30"}' : '{"d":[]}'),
				);
			}
		});
		const proxy = await startProxy(t, { apiUrl: url, registryUrl: upstream.registryUrl }, LONG);
		const path = (name: string): string => `/auth/v1/token?scope=repository:acme/${name}:pull`;
		assert.equal((await ask(proxy, path('small'))).status, 200);
		const gone = new AbortController();
		t.after(() => gone.abort());
		const answers: Answer[] = [];
		for (let i = 0; i < 20; i++) {
			ask(proxy, path(`large-${i}`), { from: `127.0.0.${2 + (i % 4)}`, signal: gone.signal }).then(
				(answer) => answers.push(answer),
				() => undefined,
			);
		}
		// Nine of them would be more than there is.
		await until(() => answers.length >= 20 - 9);
		assert.equal(heads.filter((head) => head.includes('large')).length, 20);
		for (const answer of answers) {
			assertError(answer, 503, 'UNAVAILABLE');
		}
		assert.equal((await ask(proxy, path('small-2'), { from: '127.0.0.9' })).status, 200);
	},
);
