import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { ask, forge, forgetRequests, seen, setUp, tokenFor, upstreamPart } from '../../support/setup.ts';

/* Nothing in a client's token is signed by this proxy: whatever a forger writes into it leads to a refusal, and to no path of the upstream's but the ones meant. */

const upstream = await sharedUpstream();
const { repository, digest } = imageOf(upstream, 'acme/pinned');
const NAME = 'acme/pinned';

/** Instead of `[repository, version]`. */
const ENTRIES: unknown[] = [
	['v2/../../_catalog', ''],
	['../v2/_catalog', ''],
	['..', ''],
	['', ''],
	['/', ''],
	[`${repository}/../../_catalog`, ''],
	[`${repository}/`, ''],
	[`/${repository}`, ''],
	[`${repository}?x=`, ''],
	[`${repository}#`, ''],
	[`${repository}%2f..`, ''],
	[`${repository}\r\nx-evil: 1`, ''],
	[`${repository} `, ''],
	[`${repository}\0`, ''],
	[repository.toUpperCase(), ''],
	[repository.replace('v2/', 'v3/'), ''],
	['v2/abc', ''],
	[`v2/${'a'.repeat(1000)}`, ''],
	['http://evil.example/v2/x', ''],
	['//evil.example/v2/x', ''],
	['\\\\evil.example', ''],
	['acme/secret', ''],
	['__proto__', ''],
	['v2/constructor', ''],
	[null, ''],
	[{ toString: repository }, ''],
	[[repository], ''],
	[repository],
	[repository, null],
	[repository, 1],
	[repository, ['1.1.0']],
	[repository, '1.1.0\r\nx-evil: 1'],
	[repository, '../'],
	[repository, 'v'.repeat(1000)],
	[],
	null,
	0,
	true,
	'',
	repository,
	'__proto__',
	{},
	{ repository },
	{ 0: repository, 1: '', length: 2 },
	{ code: 'NAME_UNKNOWN' },
	{ code: 'NAME_UNKNOWN', message: null },
	{ code: 'NAME_UNKNOWN', message: 'x'.repeat(1000) },
	{ code: 'toString', message: 'x' },
	{ code: '__proto__', message: 'x' },
	{ code: ['NAME_UNKNOWN'], message: 'x' },
	{ code: 'NOT_A_CODE', message: 'x' },
	{ code: 'UNAVAILABLE', message: 'x' },
	{ code: 'UNKNOWN', message: 'x' },
];

const PAYLOADS: unknown[] = [
	'',
	'{',
	'null',
	'[]',
	'1',
	'"text"',
	'{}',
	'{"n":null}',
	'{"n":[]}',
	'{"n":"x"}',
	`{"n":{"__proto__":["${repository}",""]}}`,
	`{"__proto__":{"n":{"${NAME}":["${repository}",""]}}}`,
	`{"n":{"constructor":null}}`,
	`{"n":{"ACME/pinned":["${repository}",""]}}`,
	`{"n":{"../pinned":["${repository}",""]}}`,
	`{"n":{"${NAME}":["${repository}",""]},"s":1}`,
	`{"n":{"${NAME}":["${repository}",""]},"s":"a b"}`,
	`{"n":{"${NAME}":["${repository}",""]},"s":null}`,
	`{"n":${'['.repeat(3000)}${']'.repeat(3000)}}`,
	JSON.stringify({ n: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`acme/${i}`, [repository, '']])) }),
];

const jwt = (claims: unknown): string => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.AAAA`;
const access = (entry: unknown): string => jwt({ access: [entry], exp: 9e9 });

/** Tokens without a map, as the API issues them, but with claims of a forger. */
const JWTS: Record<string, string> = {
	'a null entry': access(null),
	'no list of entries': jwt({ access: null }),
	'entries that are an object': jwt({ access: { 0: { type: 'repository', name: repository, alias: NAME }, length: 1 } }),
	'claims that are null': jwt(null),
	'claims that are no JSON': 'e30.AAAA.AAAA',
	'no claims': 'e30',
	'an alias of a path that leads out': access({ type: 'repository', name: 'v2/../_catalog', alias: NAME }),
	'an alias of an absolute URL': access({ type: 'repository', name: 'http://evil.example/', alias: NAME }),
	'an alias with a line break': access({ type: 'repository', name: `${repository}\r\nx: y`, alias: NAME }),
	'an alias of null': access({ type: 'repository', name: null, alias: NAME }),
	'an alias that is an object': access({ type: 'repository', name: repository, alias: { toString: NAME } }),
	'an alias of __proto__': access({ type: 'repository', name: '__proto__', alias: '__proto__' }),
	'a thousand entries': jwt({ access: Array.from({ length: 300 }, () => null) }),
	'an expiry that is no number': jwt({ access: [], exp: 'never' }),
};

test('forged tokens are refused and lead nowhere', async (t) => {
	const setup = await setUp(t);
	const { proxy, registry, log } = { ...setup, log: setup.proxy.log };
	const real = upstreamPart(await tokenFor(proxy, NAME));
	const paths = [
		`/v2/${NAME}/manifests/latest`,
		`/v2/${NAME}/manifests/${digest}`,
		`/v2/${NAME}/blobs/${digest}`,
		`/v2/${NAME}/tags/list`,
		`/v2/${NAME}/referrers/${digest}`,
	];

	/** @param allowed what may reach the registry all the same, because it is where the name leads for everybody */
	const isRefused = async (token: string, allowed: (path: string) => boolean = () => false, asked = paths): Promise<void> => {
		forgetRequests(setup);
		for (const path of asked) {
			const answer = await ask(proxy, path, { token });
			assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.text}`);
			assert.equal(answer.headers['content-type'], 'application/json');
			assert.ok(!JSON.stringify(answer.headers).includes('x-evil'));
			assert.equal(typeof JSON.parse(answer.text).errors[0].message, 'string');
		}
		assert.deepEqual(
			seen(registry, ({ url }) => !allowed(url)),
			[],
		);
	};

	for (const entry of ENTRIES) {
		await t.test(`entry ${(JSON.stringify(entry) ?? '').slice(0, 80)}`, () => isRefused(forge(real, { n: { [NAME]: entry } })));
	}
	for (const payload of PAYLOADS) {
		await t.test(`map ${JSON.stringify(payload).slice(0, 80)}`, () => isRefused(forge(real, payload)));
	}
	const isWhereTheNameLeads = (path: string): boolean => path.startsWith(`/v2/${repository}/`);
	// The versions of a public fleet are told to everybody.
	const protectedPaths = paths.filter((path) => !path.includes('/tags/'));
	for (const [name, token] of Object.entries(JWTS)) {
		await t.test(`claims with ${name}`, () => isRefused(token, isWhereTheNameLeads, protectedPaths));
	}
	await t.test('another’s repository is the registry’s to refuse', async () => {
		const secret = imageOf(upstream, 'acme/secret').repository;
		await isRefused(forge(real, { n: { [NAME]: [secret, ''] } }), (path) => path.startsWith(`/v2/${secret}/`), protectedPaths);
	});
	await t.test('no upstream token', () => isRefused(forge('', { n: { [NAME]: [repository, ''] } }), isWhereTheNameLeads, protectedPaths));
	await t.test('a token of more than 15,000 characters', () =>
		isRefused(forge(real, { n: { [NAME]: [repository, ''] }, s: 'x'.repeat(11_000) })),
	);
	await t.test('the sentence of a failure cannot break out of a header', async () => {
		const answer = await ask(proxy, paths[0]!, {
			token: forge(real, { n: { [NAME]: { code: 'NAME_UNKNOWN', message: 'a\r\nx-evil: "1"\u2028\0é' } } }),
		});
		assert.equal(answer.status, 404);
		assert.equal(answer.headers['x-evil'], undefined);
		assert.equal(answer.reason, 'a x-evil: "1"');
		assert.equal(answer.headers['warning'], `299 - "a x-evil: '1'"`);
		assert.equal(JSON.parse(answer.text).errors[0].message, 'a x-evil: "1" é');
	});
	assert.deepEqual(
		log.filter((line) => JSON.parse(line).level >= 50),
		[],
		'nothing of this is an error of the service',
	);
	assert.equal((await ask(proxy, '/ping')).text, 'pong');
});
