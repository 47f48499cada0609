import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import dns from 'node:dns';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ACCEPT, basic } from '../support/proxy.ts';
import { ask, faultAt, forge, setUp, tokenFor, upstreamPart, type Question, type Setup } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { sendRaw } from '../support/raw-client.ts';

/* Server-side request forgery: whatever a client or the registry's redirects say, this process connects to its two upstreams and to nothing else, and looks up no other name. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const DIGEST = imageOf(upstream, 'acme/pinned', '1.0.0').platforms[0]!.layers[0]!.digest;
const SECRET = imageOf(upstream, 'acme/secret').repository;

/** Where attackers would like this process to go. */
const TARGETS = [
	'169.254.169.254',
	'http://169.254.169.254/latest/meta-data/',
	'http://127.0.0.1:9/',
	'http://[::1]:9/',
	'//evil.example/',
	'evil.example',
	'https://user@evil.example:443/x',
	'http://0x7f000001:9/',
	'http://localhost:9',
	'file:///etc/passwd',
	'gopher://127.0.0.1:9/_x',
	'..%2f..%2fevil',
	'@evil.example',
	'metadata.google.internal',
];

/** Every connection that this process opens from now on, and every name that it looks up. The test's own are to the proxy. */
function watch(t: TestContext): { targets: Set<string>; names: Set<string> } {
	const targets = new Set<string>();
	const names = new Set<string>();
	const onSocket = (message: unknown): void => {
		const { socket } = message as { socket: Socket };
		socket.once('connect', () => targets.add(`${socket.remoteAddress}:${socket.remotePort}`));
		socket.once('connectionAttempt', (ip, port) => targets.add(`${ip}:${port}`));
	};
	diagnostics.subscribe('net.client.socket', onSocket);
	const lookup = dns.lookup as (name: string, ...rest: unknown[]) => void;
	const mock = t.mock.method(dns as { lookup: typeof lookup }, 'lookup', (name: string, ...rest: unknown[]) => {
		names.add(name);
		lookup(name, ...rest);
	});
	t.after(() => {
		diagnostics.unsubscribe('net.client.socket', onSocket);
		mock.mock.restore();
	});
	return { targets, names };
}

/** Every place of a request where a client can say something, filled with one target. */
function* requestsWith(target: string, token: string): Generator<{ path: string; question?: Question }> {
	const escaped = encodeURIComponent(target);
	const bearer = { token };
	for (const name of [target, escaped, `${NAME}/${escaped}`, `acme/${escaped}`, `v2/${escaped}`, `${escaped}/v2`]) {
		yield { path: `/v2/${name}/manifests/latest`, question: bearer };
		yield { path: `/v2/${name}/blobs/${DIGEST}`, question: bearer };
		yield { path: `/${name}` };
		yield { path: `/auth/v1/token?scope=repository:${name}:pull` };
	}
	for (const parameter of ['service', 'account', 'client_id', 'realm', 'ns', 'redirect_uri', 'issuer', 'url']) {
		yield { path: `/auth/v1/token?${parameter}=${escaped}&scope=repository:acme/pinned:pull` };
		yield { path: `/v2/${NAME}/blobs/${DIGEST}?${parameter}=${escaped}`, question: bearer };
		yield { path: `/v2/${NAME}/tags/list?last=${escaped}&n=1&${parameter}=${escaped}`, question: bearer };
		yield {
			path: '/auth/v1/token',
			question: {
				method: 'POST',
				body: `${parameter}=${escaped}&grant_type=password&username=${escaped}&password=${escaped}`,
				headers: { 'content-type': 'application/x-www-form-urlencoded' },
			},
		};
	}
	const safe = target.replace(/[^\x21-\x7e]/g, '');
	for (const header of [
		'x-forwarded-host',
		'x-forwarded-for',
		'x-forwarded-proto',
		'forwarded',
		'x-original-url',
		'x-rewrite-url',
		'x-real-ip',
		'referer',
		'origin',
		'x-request-id',
		'user-agent',
		'accept',
		'proxy',
		'via',
		'destination',
		'x-http-method-override',
		'docker-content-digest',
		'range',
		'if-none-match',
		'cookie',
	]) {
		yield { path: `/v2/${NAME}/blobs/${DIGEST}`, question: { token, headers: { [header]: safe } } };
		yield { path: '/v2/', question: { headers: { [header]: safe } } };
	}
	yield { path: '/v2/', question: { headers: { host: safe } } };
	yield { path: '/auth/v1/token?scope=repository:acme/pinned:pull', question: { headers: { host: safe } } };
	for (const grant of [
		[safe, ''],
		[`v2/${safe}`, ''],
		[SECRET, safe],
		{ code: 'NAME_UNKNOWN', message: safe },
		[`${SECRET}/../${safe}`, ''],
	]) {
		yield { path: `/v2/${NAME}/manifests/latest`, question: { token: forge(upstreamPart(token), { n: { [NAME]: grant } }) } };
	}
	const claims = {
		iss: target,
		aud: target,
		jku: target,
		x5u: target,
		access: [{ type: 'repository', name: `v2/${target}`, alias: NAME, actions: ['pull'] }],
	};
	const jwt = [
		'eyJhbGciOiJFUzI1NiIsImprdSI6Imh0dHA6Ly9ldmlsLmV4YW1wbGUvIn0',
		Buffer.from(JSON.stringify(claims)).toString('base64url'),
		'x',
	].join('.');
	yield { path: `/v2/${NAME}/manifests/latest`, question: { token: jwt } };
	yield { path: '/auth/v1/token', question: { headers: { authorization: `Bearer ${jwt}` } } };
	yield { path: '/auth/v1/token', question: { headers: { authorization: basic(safe, safe.replaceAll(':', '')) } } };
}

/** @returns the addresses to which a connection is no surprise */
const expected = ({ proxy, api, registry }: Setup): string[] =>
	[proxy.url, api.url, registry.url, upstream.apiUrl, upstream.registryUrl].map((url) => new URL(url).host);

function assertStayed(setup: Setup, { targets, names }: ReturnType<typeof watch>): void {
	assert.ok(targets.has(setup.proxy.host), 'connections are seen: the test’s own, for one');
	const others = [...targets].filter((target) => !expected(setup).includes(target));
	assert.deepEqual([others, [...names]], [[], []]);
}

for (const tags of ['lenient', 'ignore', 'strict']) {
	test(`nothing that a client says leads elsewhere, with TAGS=${tags}`, { timeout: 120_000 }, async (t) => {
		const setup = await setUp(t, { TAGS: tags, RATE_LIMIT_MAX: '0', LOGIN_FAILURES_MAX: '0' });
		const { proxy } = setup;
		const token = await tokenFor(proxy, NAME);
		const watched = watch(t);
		let count = 0;
		for (const target of TARGETS) {
			await Promise.all(
				[...requestsWith(target, token)].map(async ({ path, question }) => {
					const answer = await ask(proxy, path.replace(/[^\x21-\x7e]/g, ''), question);
					assert.ok(answer.status < 500, `${answer.status} ${path} ${answer.text}`);
					count++;
				}),
			);
			for (const line of [`GET ${target} HTTP/1.1`, `GET http://${target}/v2/ HTTP/1.1`, `CONNECT ${target} HTTP/1.1`]) {
				await sendRaw(proxy, `${line}\r\nHost: x\r\nConnection: close\r\n\r\n`);
			}
		}
		assertStayed(setup, watched);
		t.diagnostic(`${count} requests`);
	});
}

test('redirects of the registry are passed on and not followed, wherever they lead', { timeout: 60_000 }, async (t) => {
	const setup = await setUp(t);
	const { proxy, registry } = setup;
	const token = await tokenFor(proxy, NAME);
	const watched = watch(t);
	for (const location of [
		'http://169.254.169.254/latest/meta-data/',
		'http://127.0.0.1:9/',
		'http://[::1]:9/x',
		'https://storage.example/blob?X-Amz-Signature=x',
		'file:///etc/passwd',
		'//evil.example/x',
		'javascript:alert(1)',
	]) {
		for (const status of [301, 302, 303, 307, 308]) {
			registry.fault = faultAt(/\/(blobs|manifests|referrers)\//, { status, headers: { location } });
			for (const path of [
				`blobs/${DIGEST}`,
				`blobs/sha256:${String(status).padStart(64, '0')}`,
				'manifests/latest',
				`referrers/${DIGEST}`,
			]) {
				const answer = await ask(proxy, `/v2/${NAME}/${path}`, { token, headers: { accept: ACCEPT } });
				assert.ok((answer.status >= 300 && answer.status < 400) || answer.status === 502, `${answer.status} ${answer.text}`);
				if (answer.status < 400) {
					assert.equal(typeof answer.headers.location, 'string');
				}
			}
		}
		registry.fault = faultAt(/^\/v2\/$|\/tags\//, { status: 302, headers: { location } });
		await ask(proxy, `/v2/${NAME}/tags/list`, { token });
		await ask(proxy, '/v2/', { token });
	}
	assertStayed(setup, watched);
});

test('redirects of the API are not followed, and no credentials go anywhere else', { timeout: 60_000 }, async (t) => {
	const setup = await setUp(t, { RESOLUTION_TTL: '0' });
	const { proxy, api } = setup;
	await tokenFor(proxy, NAME);
	const watched = watch(t);
	for (const location of ['http://169.254.169.254/', 'http://evil.example/', `${upstream.apiUrl}/auth/v1/token`]) {
		for (const path of [/^\/v7/, /^\/auth/]) {
			api.fault = faultAt(path, { status: 302, headers: { location } });
			const answer = await ask(proxy, `/auth/v1/token?scope=repository:acme/secret:pull`, {
				headers: { authorization: basic(upstream.keys.owner) },
			});
			assert.equal(answer.status, 502, answer.text);
		}
	}
	assertStayed(setup, watched);
});

test('the realm of the registry’s challenge is not asked, only the API that is configured', { timeout: 30_000 }, async (t) => {
	const setup = await setUp(t);
	const { proxy, registry } = setup;
	registry.fault = faultAt(/^\/v2\/$/, {
		status: 401,
		headers: { 'www-authenticate': 'Bearer realm="http://evil.example/token",service="registry2.balena.example"' },
	});
	const watched = watch(t);
	assert.match(String((await ask(proxy, '/v2/')).headers['www-authenticate']), new RegExp(`^Bearer realm="${proxy.url}/auth/v1/token"`));
	await tokenFor(proxy, NAME);
	assertStayed(setup, watched);
});
