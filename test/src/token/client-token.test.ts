import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatToken, MAX_GRANTS, MAX_TOKEN_LENGTH, readJwt, type ClientToken } from '../../../src/token/client-token.ts';
import type { Grant } from '../../../src/token/grant.ts';
import { table } from '../../support/table.ts';
import { base64url, CURRENT, IMAGE, read, REPOSITORY, withNames } from './read-token.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;

const jwt = (claims: unknown): string => `${base64url({ alg: 'ES256' })}.${base64url(claims)}.signature`;

describe('parseToken: what the token says of a name', () => {
	table<unknown>(
		[
			[{}, {}],
			[{ 'org/app': IMAGE }, { 'org/app': { kind: 'image', repository: REPOSITORY, version: '2.4.0' } }],
			[{ 'org/app': [REPOSITORY, ''] }, { 'org/app': { kind: 'image', repository: REPOSITORY, version: '' } }],
			[
				{ 'org/app': [REPOSITORY, '2.4.1-1648554962021'] },
				{ 'org/app': { kind: 'image', repository: REPOSITORY, version: '2.4.1-1648554962021' } },
			],
			[{ 'org/app': [REPOSITORY, '2'] }, { 'org/app': { kind: 'image', repository: REPOSITORY, version: '2' } }],
			[{ 'org/app': [REPOSITORY, '2'.repeat(128)] }, { 'org/app': { kind: 'image', repository: REPOSITORY, version: '2'.repeat(128) } }],
			[{ 'org/app': [REPOSITORY, '2.3.8+rev1'] }, { 'org/app': { kind: 'image', repository: REPOSITORY, version: '2.3.8+rev1' } }],
			[{ 'org/app': { fleet: IMAGE } }, { 'org/app': { kind: 'fleet', slug: 'org/app', isBare: true, current: CURRENT } }],
			[
				{ 'org/app': { fleet: IMAGE, digest: DIGEST } },
				{ 'org/app': { kind: 'fleet', slug: 'org/app', isBare: true, current: CURRENT, digest: DIGEST } },
			],
			[{ 'org/app/latest': { fleet: IMAGE } }, { 'org/app/latest': { kind: 'fleet', slug: 'org/app', isBare: false, current: CURRENT } }],
			[
				{ 'org/app': { fleet: { code: 'NAME_UNKNOWN', message: 'none' } } },
				{
					'org/app': {
						kind: 'fleet',
						slug: 'org/app',
						isBare: true,
						current: { kind: 'failure', code: 'NAME_UNKNOWN', message: 'none' },
					},
				},
			],
			[
				{ 'org/app/9': { code: 'NAME_UNKNOWN', message: 'org/app has no release 9' } },
				{ 'org/app/9': { kind: 'failure', code: 'NAME_UNKNOWN', message: 'org/app has no release 9' } },
			],
			[
				{ 'org/app/2.4.0': IMAGE, 'org/other': { fleet: IMAGE } },
				{ 'org/app/2.4.0': CURRENT, 'org/other': { kind: 'fleet', slug: 'org/other', isBare: true, current: CURRENT } },
			],
			[
				{ 'org/app/9': { code: 'DENIED', message: 'm'.repeat(500) } },
				{ 'org/app/9': { kind: 'failure', code: 'DENIED', message: 'm'.repeat(500) } },
			],
			// Names that are properties of every object are names all the same.
			[{ constructor: IMAGE }, { constructor: { kind: 'image', repository: REPOSITORY, version: '2.4.0' } }],
		],
		(names) => (read(withNames(names)) as { grants: unknown } | undefined)?.grants,
	);
});

describe('parseToken: the text around', () => {
	table<string>(
		[
			[`a.b.c~${base64url({ n: {} })}`, { upstream: 'a.b.c', grants: {} }],
			[`a.b.c~${base64url({ n: {}, s: 'c2VhbGVk' })}`, { upstream: 'a.b.c', grants: {}, sealed: 'c2VhbGVk' }],
			[`~${base64url({ n: {} })}`, { upstream: '', grants: {} }],
			// The last "~" parts: a token of the upstream may hold one itself.
			[`a~b~${base64url({ n: {} })}`, { upstream: 'a~b', grants: {} }],
			['a.b.c', { upstream: 'a.b.c', grants: {} }],
			['opaque', { upstream: 'opaque', grants: {} }],
			['a.b.c~', undefined],
			['a.b.c~x', undefined],
			['~', undefined],
			[`a.b.c~${base64url({ n: {} })}=`, undefined],
			[`a.b.c~${Buffer.from('{"n":{"a":"???>>>"}}').toString('base64')}`, undefined],
			['', undefined],
			['a b', undefined],
			['a.b.c\r\nx-evil: 1', undefined],
			['a.b.c\n', undefined],
			['ä', undefined],
			['a.b.c,Basic x', undefined],
			['"quoted"', undefined],
			['x'.repeat(MAX_TOKEN_LENGTH), { upstream: 'x'.repeat(MAX_TOKEN_LENGTH), grants: {} }],
			['x'.repeat(MAX_TOKEN_LENGTH + 1), undefined],
		],
		read,
	);
});

describe("parseToken: the balena API's own tokens, whose entries have an alias", () => {
	const entry = { type: 'repository', name: REPOSITORY, actions: ['pull'], alias: 'org/app/2.4.0' };
	const image = { kind: 'image', repository: REPOSITORY, version: '' };
	table<unknown>(
		[
			[{ access: [entry] }, { 'org/app/2.4.0': image }],
			[
				{ access: [entry, { ...entry, alias: 'org/app' }] },
				{ 'org/app/2.4.0': image, 'org/app': { kind: 'fleet', slug: 'org/app', isBare: true, current: image } },
			],
			[{ access: [null, 1, 'x', [], entry] }, { 'org/app/2.4.0': image }],
			[{ access: [{ ...entry, alias: undefined }] }, {}],
			[{ access: [{ ...entry, alias: null }] }, {}],
			[{ access: [{ ...entry, alias: ['org/app'] }] }, {}],
			[{ access: [{ ...entry, name: [REPOSITORY] }] }, {}],
			[{ access: [{ ...entry, alias: '../x' }] }, {}],
			[{ access: [{ ...entry, alias: 'org/app\r\nx: 1' }] }, {}],
			[{ access: [{ ...entry, name: '../../x' }] }, {}],
			[{ access: [{ ...entry, name: 'https://elsewhere/' }] }, {}],
			[{ access: [{ ...entry, name: 'org/app/2.4.0' }] }, {}],
			[{ access: [{ ...entry, name: null }] }, {}],
			[{ access: [{ ...entry, type: 'registry' }] }, {}],
			[{ access: [...Array.from({ length: MAX_GRANTS }, () => null), entry] }, {}],
			[{ access: entry }, {}],
			[{ access: null }, {}],
			[{}, {}],
			[null, {}],
			[[], {}],
		],
		(claims) => (read(jwt(claims)) as { grants: unknown }).grants,
	);
});

describe('readJwt: claims, unverified', () => {
	table<string>(
		[
			[jwt({ exp: 1_700_000_000, access: [1] }), { expiresAt: 1_700_000_000_000, access: [1] }],
			[jwt({ exp: 0 }), { expiresAt: 0, access: [] }],
			[jwt({ exp: '1700000000' }), { access: [] }],
			[jwt({ exp: null, access: {} }), { access: [] }],
			[jwt('{"exp":1e999}'), { access: [] }],
			[jwt([]), { access: [] }],
			[jwt('not json'), { access: [] }],
			['a.e30.c', { access: [] }],
			['opaque', { access: [] }],
			['', { access: [] }],
			['..', { access: [] }],
		],
		readJwt,
	);
});

describe('formatToken', () => {
	const token = (grants: Record<string, Grant>, sealed?: string): ClientToken => ({
		upstream: 'a.b.c',
		grants: new Map(Object.entries(grants)),
		sealed,
	});
	const payload = (text: string): unknown => JSON.parse(Buffer.from(text.slice(text.lastIndexOf('~') + 1), 'base64url').toString());

	table<ClientToken>(
		[
			[token({}), { n: {} }],
			[token({}, 'c2VhbGVk'), { n: {}, s: 'c2VhbGVk' }],
			[token({ 'org/app': { kind: 'image', repository: REPOSITORY, version: '2.4.0' } }), { n: { 'org/app': IMAGE } }],
			[
				token({ 'org/app': { kind: 'fleet', slug: 'org/app', isBare: true, current: CURRENT, digest: undefined } }),
				{ n: { 'org/app': { fleet: IMAGE } } },
			],
			[
				token({
					'org/app': {
						kind: 'fleet',
						slug: 'org/app',
						isBare: true,
						current: { kind: 'failure', code: 'NAME_UNKNOWN', message: 'none' },
						digest: undefined,
					},
				}),
				{ n: { 'org/app': { fleet: { code: 'NAME_UNKNOWN', message: 'none' } } } },
			],
			[
				token({ 'org/app': { kind: 'failure', code: 'NAME_UNKNOWN', message: 'none' } }),
				{ n: { 'org/app': { code: 'NAME_UNKNOWN', message: 'none' } } },
			],
			[
				token({ 'org/app': { kind: 'failure', code: 'NAME_UNKNOWN', message: 'm'.repeat(600) } }),
				{ n: { 'org/app': { code: 'NAME_UNKNOWN', message: 'm'.repeat(500) } } },
			],
			// A version that no token may hold is for logs only, and must not make the whole token illegible.
			[
				token({ 'org/app': { kind: 'image', repository: REPOSITORY, version: 'the second, fixed' } }),
				{ n: { 'org/app': [REPOSITORY, ''] } },
			],
			[
				token({ 'org/app': { kind: 'image', repository: REPOSITORY, version: `1.0.0-${'x'.repeat(200)}` } }),
				{ n: { 'org/app': [REPOSITORY, ''] } },
			],
		],
		(given) => payload(formatToken(given)),
	);

	test('has a payload without what is not there', () =>
		assert.equal(Buffer.from(formatToken(token({})).slice('a.b.c~'.length), 'base64url').toString(), '{"n":{}}'));
	test('bounds', () => assert.deepEqual([MAX_GRANTS, MAX_TOKEN_LENGTH], [16, 15_000]));
	test('is the upstream token, "~" and the rest', () => assert.match(formatToken(token({})), /^a\.b\.c~[A-Za-z0-9_-]+$/));
});
