import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { startProxy, type Proxy } from '../../support/proxy.ts';
import { logged } from '../../support/expect.ts';
import { until } from '../../support/until.ts';
import { sendRaw, type RawAnswer } from '../../support/raw-client.ts';
import { sharedUpstream } from '../../upstream/shared.ts';

/* What requests say of themselves, byte by byte: of their target, and in X-Forwarded-*. */

const upstream = await sharedUpstream();

/** Sends one request, and a line break after each of its lines. */
async function send(proxy: Proxy, ...lines: string[]): Promise<RawAnswer> {
	const { answers } = await sendRaw(proxy, [...lines, 'Connection: close', '', ''].join('\r\n'));
	assert.equal(answers.length, 1);
	return answers[0]!;
}

const message = ({ body }: RawAnswer): string => JSON.parse(body).errors[0].message as string;
const realm = ({ headers }: RawAnswer): string | undefined =>
	/realm="([^"]*)\/auth\/v1\/token"/.exec(headers['www-authenticate'] ?? '')?.[1];
const start = (t: TestContext, env: Record<string, string> = {}): Promise<Proxy> => startProxy(t, upstream, env);

describe('X-Forwarded-*: the realm, and the client in the log', () => {
	const rows: { name: string; trust?: string; headers: string[]; realm: string; client: string }[] = [
		{ name: 'a port', headers: ['X-Forwarded-For: 203.0.113.9:4000'], realm: 'http://inner', client: '203.0.113.9' },
		{ name: 'brackets and a port', headers: ['X-Forwarded-For: [2001:db8::7]:4000'], realm: 'http://inner', client: '2001:db8::7' },
		{ name: 'a zone', headers: ['X-Forwarded-For: fe80::7%eth0'], realm: 'http://inner', client: 'fe80::7' },
		{ name: 'IPv4 in IPv6', headers: ['X-Forwarded-For: ::ffff:cb00:7109'], realm: 'http://inner', client: '203.0.113.9' },
		{ name: 'no address', headers: ['X-Forwarded-For: unknown'], realm: 'http://inner', client: '127.0.0.1' },
		{
			name: 'a trusted hop with a port in between',
			trust: 'loopback,10.0.0.0/8',
			headers: ['X-Forwarded-For: 1.1.1.1, 203.0.113.9:1, 10.0.0.1:2', 'X-Forwarded-Proto: evil, https, http'],
			realm: 'https://inner',
			client: '203.0.113.9',
		},
		{
			name: 'a hop that is not trusted in between',
			headers: ['X-Forwarded-For: 203.0.113.9, 10.0.0.1', 'X-Forwarded-Host: evil, outer', 'X-Forwarded-Proto: evil, https'],
			realm: 'https://outer',
			client: '10.0.0.1',
		},
		{ name: 'two schemes', headers: ['X-Forwarded-Proto: https,http'], realm: 'https://inner', client: '127.0.0.1' },
		{
			name: 'two hosts, in two lines',
			headers: ['X-Forwarded-Host: outer', 'X-Forwarded-Host: middle'],
			realm: 'http://outer',
			client: '127.0.0.1',
		},
		{ name: 'a scheme in capitals', headers: ['X-Forwarded-Proto: HTTPS'], realm: 'https://inner', client: '127.0.0.1' },
		{ name: 'a final dot', headers: ['X-Forwarded-Host: outer.example.'], realm: 'http://outer.example.', client: '127.0.0.1' },
		{
			name: 'of nobody who is trusted',
			trust: '10.0.0.0/8',
			headers: ['X-Forwarded-For: 203.0.113.9', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: evil'],
			realm: 'http://inner',
			client: '127.0.0.1',
		},
		{
			name: 'of anybody',
			trust: 'true',
			headers: ['X-Forwarded-For: 203.0.113.9, 10.0.0.1', 'X-Forwarded-Proto: https, http'],
			realm: 'https://inner',
			client: '203.0.113.9',
		},
	];
	for (const { name, trust = 'loopback', headers, realm: expected, client } of rows) {
		test(name, async (t) => {
			const proxy = await start(t, { TRUST_PROXY: trust });
			const answer = await send(proxy, 'GET /v2/ HTTP/1.1', 'Host: inner', ...headers);
			assert.equal(answer.status, 401);
			assert.equal(realm(answer), expected);
			await until(() => logged(proxy, ({ msg }) => msg === 'request') !== undefined);
			assert.equal(logged(proxy, ({ msg }) => msg === 'request')!.client, client);
		});
	}

	for (const [header, value] of [
		['Host', 'a b'],
		['X-Forwarded-Host', 'a/b'],
		['X-Forwarded-Host', ','],
		['X-Forwarded-Proto', 'gopher'],
	] as const) {
		test(`an error names the header that it came in: ${header}: ${value}`, async (t) => {
			const proxy = await start(t, { TRUST_PROXY: 'loopback' });
			const answer = await send(proxy, 'GET /v2/ HTTP/1.1', ...(header === 'Host' ? [] : ['Host: inner']), `${header}: ${value}`);
			assert.equal(answer.status, 400);
			assert.ok(message(answer).startsWith(`the ${header} header is n`), message(answer));
		});
	}

	test('limits are for the client, whatever port its hop writes', async (t) => {
		const proxy = await start(t, { TRUST_PROXY: 'loopback', RATE_LIMIT_MAX: '2' });
		const statuses: number[] = [];
		for (const port of [4000, 4001, 4002]) {
			statuses.push((await send(proxy, 'GET /v2/ HTTP/1.1', 'Host: inner', `X-Forwarded-For: 203.0.113.9:${port}`)).status);
		}
		assert.deepEqual(statuses, [401, 401, 429]);
	});

	test('so is RATE_LIMIT_ALLOW', async (t) => {
		const proxy = await start(t, { TRUST_PROXY: 'loopback', RATE_LIMIT_MAX: '1', RATE_LIMIT_ALLOW: '2001:db8::/32' });
		for (let i = 0; i < 3; i++) {
			assert.equal((await send(proxy, 'GET /v2/ HTTP/1.1', 'Host: inner', 'X-Forwarded-For: [2001:db8::7]:4000')).status, 401);
		}
	});
});

describe('what the log says of TRUST_PROXY', () => {
	const warnings = ({ log }: Proxy): string[] =>
		log.map((line) => JSON.parse(line)).flatMap(({ level, msg }) => (level === 40 ? [msg] : []));

	test('X-Forwarded-* of a peer that is not trusted: once, with the settings that would help', async (t) => {
		const proxy = await start(t);
		await send(proxy, 'GET /v2/ HTTP/1.1', 'Host: inner');
		assert.deepEqual(warnings(proxy), []);
		await send(proxy, 'GET /v2/ HTTP/1.1', 'Host: inner', 'X-Forwarded-For: 203.0.113.9');
		await send(proxy, 'GET /v2/ HTTP/1.1', 'Host: inner', 'X-Forwarded-Proto: https');
		assert.equal(warnings(proxy).length, 1);
		assert.match(warnings(proxy)[0]!, /TRUST_PROXY=127\.0\.0\.1.*PUBLIC_URL/);
	});
	test('nothing of one that is', async (t) => {
		const proxy = await start(t, { TRUST_PROXY: 'loopback' });
		await send(proxy, 'GET /v2/ HTTP/1.1', 'Host: inner', 'X-Forwarded-For: 203.0.113.9');
		assert.deepEqual(warnings(proxy), []);
	});
	test('trusting everybody is warned of at the start', async (t) => {
		assert.match(warnings(await start(t, { TRUST_PROXY: 'true' })).join(), /^TRUST_PROXY=true takes the first address/);
	});
});

describe('the target of a request', () => {
	const rows: { name: string; lines: string[]; status: number; realm?: string; words?: RegExp }[] = [
		{
			name: 'in absolute form: its host counts, not the header',
			lines: ['GET http://target.example:5000/v2/ HTTP/1.1', 'Host: other'],
			status: 401,
			realm: 'http://target.example:5000',
		},
		{ name: 'with a final dot', lines: ['GET /v2/ HTTP/1.1', 'Host: proxy.example.com.'], status: 401, realm: 'http://proxy.example.com.' },
		{ name: 'with a user in it', lines: ['GET http://a@target/v2/ HTTP/1.1', 'Host: other'], status: 400 },
		{ name: 'two Host lines', lines: ['GET /v2/ HTTP/1.1', 'Host: a', 'host: b'], status: 400, words: /more than one Host/ },
		{
			name: 'two Host lines that say the same',
			lines: ['GET /ping HTTP/1.1', 'Host: a', 'Host: a'],
			status: 400,
			words: /more than one Host/,
		},
		{ name: 'that nothing is at', lines: ['GET /nothing/at/all/of/this HTTP/1.1', 'Host: a'], status: 404 },
		{ name: 'with a method for which nothing is', lines: ['PUT /v2/acme/app/manifests/latest HTTP/1.1', 'Host: a'], status: 405 },
		{ name: 'with a method that is unknown here', lines: ['PROPFIND /v2/ HTTP/1.1', 'Host: a'], status: 405 },
		{ name: 'in asterisk form', lines: ['OPTIONS * HTTP/1.1', 'Host: a'], status: 405 },
		{ name: 'with an escape that is none', lines: ['GET /v2/%zz/manifests/latest HTTP/1.1', 'Host: a'], status: 400 },
		{ name: 'with an escape that is none, of a page', lines: ['GET /acme/%ff HTTP/1.1', 'Host: a'], status: 404 },
		{ name: 'of another scheme', lines: ['GET ftp://target/v2/ HTTP/1.1', 'Host: a'], status: 404 },
		{ name: 'with a long part', lines: [`GET /acme/${'a'.repeat(2000)} HTTP/1.1`, 'Host: a'], status: 404 },
	];
	for (const { name, lines, status, realm: expected, words = /./ } of rows) {
		test(name, async (t) => {
			// A page says what it says as HTML.
			const proxy = await start(t, { RATE_LIMIT_MAX: '1' });
			const answer = await send(proxy, ...lines);
			assert.equal(answer.status, status, answer.body);
			assert.equal(realm(answer), expected);
			assert.match(answer.body, words);
			await until(() => logged(proxy, ({ msg }) => msg === 'request') !== undefined);
			assert.equal(logged(proxy, ({ msg }) => msg === 'request')!.status, status);
			if (words.source === '.') {
				assert.equal((await send(proxy, ...lines)).status, 429, 'it is inside the limits');
			}
		});
	}

	test('what is no request has a line, too', async (t) => {
		const proxy = await start(t);
		assert.equal((await send(proxy, 'GET /v2/ HTTP/1.1', 'Host : a')).status, 400);
		assert.equal(logged(proxy, ({ msg }) => msg === 'what came is not a request')!.status, 400);
	});

	test('a User-Agent of 15 KB does not fill the log', async (t) => {
		const proxy = await start(t);
		await send(proxy, 'GET /ping HTTP/1.1', 'Host: a', `User-Agent: ${'u'.repeat(15_000)}`);
		await until(() => logged(proxy, ({ msg }) => msg === 'request') !== undefined);
		assert.equal(logged(proxy, ({ msg }) => msg === 'request')!.agent, 'u'.repeat(200));
	});
});
