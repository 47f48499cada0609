import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ANONYMOUS, callerWithPassword, callerWithSecret, parseCaller, type Caller } from '../../../src/balena/caller.ts';
import { table } from '../../support/table.ts';

const basic = (text: string | Buffer): string => `Basic ${Buffer.from(text).toString('base64')}`;

const SESSION = 'eyJhbGciOiJIUzI1NiJ9.eyJpZCI6MX0.c2ln';

/** A caller without its fingerprint, which is another in each process. */
function show(caller: Caller | undefined): unknown {
	return caller?.kind === 'credentials' ? { secret: caller.secret, authorization: caller.authorization } : caller?.kind;
}

describe('parseCaller: who asks, by the Authorization header', () => {
	table<string | undefined>(
		[
			[undefined, 'anonymous'],
			[basic('u:key'), { secret: 'key', authorization: basic('u:key') }],
			[basic(':key'), { secret: 'key', authorization: basic(':key') }],
			[basic('u:a:b:c'), { secret: 'a:b:c', authorization: basic('u:a:b:c') }],
			[basic('d_0123:key'), { secret: 'key', authorization: basic('d_0123:key') }],
			['Bearer key', { secret: 'key', authorization: 'Bearer key' }],
			['bearer   eyJh.eyJz.c2ln ', { secret: 'eyJh.eyJz.c2ln', authorization: 'Bearer eyJh.eyJz.c2ln' }],
			// A session as the password goes on as the API takes it.
			[basic(`u:${SESSION}`), { secret: SESSION, authorization: `Bearer ${SESSION}` }],
			[basic(`:${SESSION}`), { secret: SESSION, authorization: `Bearer ${SESSION}` }],
			[basic('u:eyJh.eyJz'), { secret: 'eyJh.eyJz', authorization: basic('u:eyJh.eyJz') }],
			[basic('u:a.b.c'), { secret: 'a.b.c', authorization: basic('u:a.b.c') }],
			['BASIC dTprZXk=', { secret: 'key', authorization: basic('u:key') }],
			['Basic dTprZXk', { secret: 'key', authorization: basic('u:key') }],
			// The URL-safe alphabet, which some clients use, means the same credentials.
			['Basic dT8-Pjp-', { secret: '~', authorization: 'Basic dT8+Pjp+' }],
			// A user name can be anything, because what is sent on is base64 again.
			[basic('jürgen\r\n:key'), { secret: 'key', authorization: basic('jürgen\r\n:key') }],
			// Sent by some clients that have no credentials.
			[basic(':'), 'anonymous'],
			// The balena API refuses these with an empty body.
			[basic('u:'), undefined],
			[basic('u'), undefined],
			[basic(''), undefined],
			['Basic A', undefined],
			['Basic', undefined],
			['Basic ', undefined],
			['Basic !!!', undefined],
			['Basic !dTprZXk=', undefined],
			['Basic dTprZXk=!', undefined],
			['Basic dTprZXk===', undefined],
			['Basic dTprZXk= dTprZXk=', undefined],
			['Basic dTprZXk=,Bearer x', undefined],
			// What no key can be, and no header may hold.
			[basic('u:a b'), undefined],
			[basic('u:key\r\nx-evil: 1'), undefined],
			[basic('u:\0'), undefined],
			[basic('u:kéy'), undefined],
			[basic(Buffer.from('u:\xff', 'latin1')), undefined],
			['Bearer', undefined],
			['Bearer ', undefined],
			['Bearer a b', undefined],
			['Bearer a\tb', undefined],
			['Bearer a\r\nx-evil: 1', undefined],
			['Bearer kéy', undefined],
			['Digest username="u"', undefined],
			['Negotiate x', undefined],
			['key', undefined],
			['', undefined],
			[' ', undefined],
			[`Bearer ${'k'.repeat(8185)}`, { secret: 'k'.repeat(8185), authorization: `Bearer ${'k'.repeat(8185)}` }],
			[`Bearer ${'k'.repeat(8186)}`, undefined],
			[basic(`u:${'k'.repeat(8192)}`), undefined],
		],
		(authorization) => show(parseCaller(authorization)),
	);
});

describe('callerWithPassword: the OAuth2 form', () => {
	table<[username: string, password: string]>(
		[
			[['u', 'key'], { secret: 'key', authorization: basic('u:key') }],
			[['', 'key'], { secret: 'key', authorization: basic(':key') }],
			[['u', 'a:b'], { secret: 'a:b', authorization: basic('u:a:b') }],
			[['', ''], 'anonymous'],
			[['u', ''], undefined],
			// It would move into the password.
			[['u:a', 'b'], undefined],
			[[':', ''], undefined],
			[['u', 'a b'], undefined],
			[['u', 'a\r\nb'], undefined],
			[['u', 'kéy'], undefined],
			[['u', 'k'.repeat(6000)], { secret: 'k'.repeat(6000), authorization: basic(`u:${'k'.repeat(6000)}`) }],
			[['u', 'k'.repeat(60_000)], undefined],
			[['u'.repeat(60_000), 'k'], undefined],
		],
		([username, password]) => show(callerWithPassword(username, password)),
	);
});

describe('callerWithSecret: a bare API key or session token', () => {
	table<string>(
		[
			['key', { secret: 'key', authorization: 'Bearer key' }],
			['', undefined],
			[' ', undefined],
			['a b', undefined],
			['a\nb', undefined],
			['kéy', undefined],
			['k'.repeat(60_000), undefined],
		],
		(secret) => show(callerWithSecret(secret)),
	);
});

describe('fingerprint: what may stand in a cache key', () => {
	const of = (authorization: string | undefined): string => parseCaller(authorization)!.fingerprint;

	test('the same for the same credentials', () => assert.equal(of(basic('u:key')), of(basic('u:key'))));
	test('the same however they are written', () => {
		assert.equal(of('basic  dTprZXk'), of(basic('u:key')));
		assert.equal(of('bearer key'), of('Bearer key'));
		assert.equal(callerWithPassword('u', 'key')!.fingerprint, of(basic('u:key')));
		assert.equal(callerWithSecret('key')!.fingerprint, of('Bearer key'));
	});
	test('another for anything else', () => {
		const texts = [
			undefined,
			basic('u:key'),
			basic('v:key'),
			basic('u:kez'),
			basic(':key'),
			basic('u:u:key'),
			'Bearer key',
			'Bearer anonymous',
			basic('u:anonymous'),
		];
		assert.equal(new Set(texts.map(of)).size, texts.length);
	});
	test('shows nothing of the credentials', () => assert.match(of(basic('u:key')), /^[A-Za-z0-9_-]{43}$/));
	test('of the anonymous caller', () => assert.deepEqual([of(undefined), ANONYMOUS.fingerprint], ['anonymous', 'anonymous']));
});
