import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT, basic } from '../support/proxy.ts';
import { odata } from '../support/release-answer.ts';
import { ask, faultAt, forge, forgetRequests, grantsOf, setUp, tokenFor, upstreamPart, type Answer, type Setup } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Texts that want to be more than texts: line breaks in headers and logs, escape sequences in terminals, names of prototypes in objects. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const IMAGE = imageOf(upstream, 'acme/pinned', '1.0.0');
const EVIL = 'x\r\nX-Evil: 1\r\n\r\n<script>alert(1)</script>\u001b[2J\u0007\u009b31m\u2028\u202e';
const ESCAPED = encodeURIComponent(EVIL);

/** What no answer may have: a header of the attacker's, and controls that a terminal would obey. */
function assertClean(answer: Answer): void {
	assert.equal(answer.headers['x-evil'], undefined);
	for (const value of [answer.reason, ...Object.values(answer.headers).flat()]) {
		assert.match(String(value), /^[\x20-\x7e]*$/);
	}
	for (const error of answer.headers['content-type'] === 'application/json'
		? ((JSON.parse(answer.text).errors ?? []) as { message: string }[])
		: []) {
		assert.doesNotMatch(error.message, /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
	}
}

test('what a client sends breaks out of no header and no line of the log', { timeout: 60_000 }, async (t) => {
	const { proxy } = await setUp(t);
	const token = await tokenFor(proxy, NAME);
	const upstreamToken = upstreamPart(token);
	const rows: Record<string, () => Promise<Answer>> = {
		'a name': () => ask(proxy, `/v2/${ESCAPED}/manifests/latest`, { token }),
		'a part of a name': () => ask(proxy, `/v2/acme/${ESCAPED}/manifests/latest`, { token }),
		'a tag': () => ask(proxy, `/v2/${NAME}/manifests/${ESCAPED}`, { token }),
		'a digest': () => ask(proxy, `/v2/${NAME}/blobs/sha256:${ESCAPED}`, { token }),
		'a page': () => ask(proxy, `/v2/${NAME}/tags/list?last=${ESCAPED}&n=1`, { token }),
		'an artifact type': () => ask(proxy, `/v2/${NAME}/referrers/${IMAGE.digest}?artifactType=${ESCAPED}`, { token }),
		'a scope': () => ask(proxy, `/auth/v1/token?scope=repository:${ESCAPED}:pull`),
		'a service': () => ask(proxy, `/auth/v1/token?service=${ESCAPED}&scope=repository:${NAME}:pull`),
		'a password': () => ask(proxy, '/auth/v1/token', { headers: { authorization: basic(EVIL) } }),
		'a user': () => ask(proxy, '/auth/v1/token', { headers: { authorization: basic(upstream.keys.owner, EVIL.replaceAll(':', '')) } }),
		'a form': () =>
			ask(proxy, '/auth/v1/token', {
				method: 'POST',
				body: `grant_type=password&username=${ESCAPED}&password=${ESCAPED}&scope=${ESCAPED}`,
				headers: { 'content-type': 'application/x-www-form-urlencoded' },
			}),
		'a grant type': () =>
			ask(proxy, '/auth/v1/token', {
				method: 'POST',
				body: `grant_type=${ESCAPED}`,
				headers: { 'content-type': 'application/x-www-form-urlencoded' },
			}),
		'a sentence in a token': () =>
			ask(proxy, `/v2/${NAME}/manifests/latest`, {
				token: forge(upstreamToken, { n: { [NAME]: { code: 'NAME_UNKNOWN', message: EVIL } } }),
			}),
		'a repository in a token': () =>
			ask(proxy, `/v2/${NAME}/manifests/latest`, { token: forge(upstreamToken, { n: { [NAME]: [`v2/${EVIL}`, ''] } }) }),
		'a version in a token': () =>
			ask(proxy, `/v2/${NAME}/manifests/latest`, { token: forge(upstreamToken, { n: { [NAME]: [IMAGE.repository, EVIL] } }) }),
		'a path': () => ask(proxy, `/${ESCAPED}`),
		'a page of a fleet': () => ask(proxy, `/acme/${ESCAPED}`, { headers: { accept: 'text/html' } }),
		'a request id': () => ask(proxy, '/ping', { headers: { 'x-request-id': 'a b;<c>"' } }),
	};
	for (const [name, run] of Object.entries(rows)) {
		await t.test(name, async () => {
			const answer = await run();
			assert.ok(answer.status < 500, answer.text);
			assertClean(answer);
			if (/html/.test(String(answer.headers['content-type']))) {
				assert.ok(!answer.text.includes('<script>alert'));
			}
		});
	}
	for (const line of proxy.log) {
		assert.equal(line.trimEnd().split('\n').length, 1);
		assert.ok(!line.includes('\u001b'), line);
		JSON.parse(line);
	}
});

/** One release, with texts of whoever owns the fleet. */
const row = (over: Record<string, unknown> = {}): unknown => ({
	id: 1,
	commit: 'abcdef1234567890abcdef1234567890',
	semver: EVIL,
	semver_major: 1,
	semver_minor: 0,
	raw_version: EVIL,
	is_final: true,
	status: EVIL,
	release_image: [1, 2].map((i) => ({
		id: i,
		image: [
			{
				id: i,
				is_stored_at__image_location: `x/v2/${String(i).repeat(32)}`,
				content_hash: null,
				is_a_build_of__service: [{ service_name: `${EVIL}${i}` }],
			},
		],
	})),
	...over,
});

/** An API in which no release can be pulled, and what explains that is what the owner wrote. */
const explaining =
	(release: unknown) =>
	(url: string): unknown[] =>
		url.startsWith('/v7/application')
			? [{ id: 1, slug: 'acme/evil', owns__release: [release], service: [{ service_name: EVIL }] }]
			: url.includes('release_image')
				? []
				: [release];

test('what a fleet’s owner has written breaks out of no header, no log and no terminal', { timeout: 60_000 }, async (t) => {
	const rows: Record<string, (url: string) => unknown[]> = {
		'names of services': (url) => (url.startsWith('/v7/release') ? [row({ semver: '1.0.0' })] : []),
		versions: explaining(row({ status: 'success' })),
		'a status': explaining(row({ semver: '1.0.0', raw_version: '1.0.0' })),
		commits: (url) =>
			url.startsWith('/v7/release') ? ['a', 'b'].map((end) => row({ commit: `1.0.0${EVIL}${end}`, semver: '1.0.0', is_final: true })) : [],
	};
	for (const [name, d] of Object.entries(rows)) {
		await t.test(name, async (t) => {
			const { proxy, api } = await setUp(t);
			api.fault = ({ url }) => (url.startsWith('/v7/') ? odata(d(url)) : undefined);
			for (const reference of ['acme/evil', 'acme/evil/1.0.0', 'acme/evil/1']) {
				const token = await tokenFor(proxy, reference);
				for (const agent of ['docker/28.0', 'containerd/2.1', 'curl']) {
					const answer = await ask(proxy, `/v2/${reference}/manifests/latest`, { token, headers: { 'user-agent': agent } });
					assert.ok(answer.status >= 400 && answer.status < 500, answer.text);
					assertClean(answer);
				}
				assertClean(await ask(proxy, `/${reference}`, { headers: { accept: 'text/html' } }));
				assert.ok(!(await ask(proxy, `/${reference}`, { headers: { accept: 'text/html' } })).text.includes('<script>alert'));
			}
			assert.ok(!proxy.log.join('').includes('\u001b'));
		});
	}
});

test('what the registry says breaks out of no header', { timeout: 60_000 }, async (t) => {
	const setup = await setUp(t);
	const { proxy, registry } = setup;
	const token = await tokenFor(proxy, NAME);
	const service = 'x"\\,realm=\\"http://evil.example/';
	const rows: Record<string, Record<string, string>> = {
		'the error of a challenge': {
			'www-authenticate': `Bearer realm="x",service="x",error="a\\"b, realm=\\"http://evil.example/",error_description="\\"x\\", Basic realm=\\"y"`,
		},
		'another scheme': { 'www-authenticate': 'Basic realm="give me your password"' },
		'cookies and policies': {
			'set-cookie': 'a=b',
			'strict-transport-security': 'max-age=9999',
			'www-authenticate': 'Bearer realm="x",service="y"',
		},
	};
	for (const [name, headers] of Object.entries(rows)) {
		await t.test(name, async () => {
			registry.fault = faultAt(/\/manifests\//, { status: 401, headers });
			const answer = await ask(proxy, `/v2/${NAME}/manifests/latest`, { token, headers: { accept: ACCEPT } });
			assert.equal(answer.status, 401);
			assertClean(answer);
			const challenge = String(answer.headers['www-authenticate']);
			assert.ok(challenge.startsWith(`Bearer realm="${proxy.url}/auth/v1/token",service="${upstream.service}"`), challenge);
			// Quoted strings aside, there is one realm and one scheme.
			const bare = challenge.replace(/"(?:[^"\\]|\\.)*"/g, '""');
			assert.equal(bare.match(/realm=/g)!.length, 1);
			assert.doesNotMatch(bare, /Basic/);
			assert.equal(answer.headers['set-cookie'] ?? answer.headers['strict-transport-security'], undefined);
		});
	}
	await t.test('the service of a challenge', async (t) => {
		const { proxy: other, registry: its } = await setUp(t);
		its.fault = faultAt(/^\/v2\/$/, {
			status: 401,
			headers: { 'www-authenticate': `Bearer realm="x",service="${service.replace(/["\\]/g, '\\$&')}"` },
		});
		const answer = await ask(other, '/v2/');
		assertClean(answer);
		assert.equal(String(answer.headers['www-authenticate']).replace(/"(?:[^"\\]|\\.)*"/g, '""'), 'Bearer realm="",service=""');
	});
});

/** JSON that would change all objects, were it merged into one. */
const POLLUTING = [
	'{"__proto__":{"polluted":true}}',
	'{"constructor":{"prototype":{"polluted":true}}}',
	'{"n":{"__proto__":["v2/x",""],"constructor":["v2/x",""]},"__proto__":{"polluted":true}}',
];

test('no prototype is polluted', { timeout: 60_000 }, async (t) => {
	const setup: Setup = await setUp(t);
	const { proxy, api, registry } = setup;
	const token = await tokenFor(proxy, NAME);
	const untouched = (): void => {
		for (const object of [{}, [], () => undefined, new Map(), Object.create({}) as object]) {
			assert.equal((object as { polluted?: unknown }).polluted, undefined);
		}
	};
	for (const json of POLLUTING) {
		await ask(proxy, `/v2/${NAME}/manifests/latest`, { token: forge(upstreamPart(token), json) });
		await ask(proxy, '/v2/__proto__/manifests/latest', { token: forge(upstreamPart(token), json) });
		await ask(proxy, '/v2/constructor/prototype/manifests/latest', { token: forge(upstreamPart(token), json) });
		const claims = Buffer.from(json).toString('base64url');
		await ask(proxy, `/v2/${NAME}/manifests/latest`, { token: `e30.${claims}.x` });
		await ask(proxy, '/auth/v1/token', { method: 'POST', body: json, headers: { 'content-type': 'application/json' } });
		api.fault = () => ({
			status: 200,
			headers: { 'content-type': 'application/json' },
			body: json.replace('{', '{"d":[{"__proto__":{"polluted":true}}],"token":"a.b.c",'),
		});
		await ask(proxy, '/auth/v1/token?scope=repository:acme/other:pull', { headers: { authorization: basic(upstream.keys.owner) } });
		registry.fault = faultAt(/\/(manifests|tags)\//, {
			status: 200,
			headers: { 'content-type': 'application/json', __proto__: 'x' },
			body: json,
		});
		await ask(proxy, `/v2/${NAME}/manifests/latest`, { token, headers: { accept: ACCEPT } });
		await ask(proxy, `/v2/${NAME}/tags/list`, { token });
		untouched();
		[api, registry].forEach((relay) => (relay.fault = () => undefined));
	}
	for (const query of [
		'__proto__[polluted]=true',
		'constructor.prototype.polluted=true',
		'__proto__.polluted=true',
		'scope=repository:__proto__:pull',
		'scope=repository:constructor/prototype:pull',
	]) {
		await ask(proxy, `/auth/v1/token?${query}`);
		await ask(proxy, '/auth/v1/token', { method: 'POST', body: query, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
		await ask(proxy, `/v2/${NAME}/tags/list?${query}`, { token, headers: { __proto__: 'x', constructor: 'x' } });
		untouched();
	}
	forgetRequests(setup);
	// Names of an object's own are names like others.
	const names = ['constructor/prototype', 'valueof/tostring', 'hasownproperty/x'];
	assert.deepEqual(Object.keys(grantsOf(await tokenFor(proxy, names))).sort(), [...names].sort());
});
