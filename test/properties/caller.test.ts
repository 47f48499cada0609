import fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { callerWithPassword, callerWithSecret, parseCaller, type Caller } from '../../src/balena/caller.ts';
import { parseTokenForm, parseTokenQuery } from '../../src/token/token-request.ts';
import { anyText, nearly, printable, secret } from './arbitraries.ts';
import { assertHeader, check, orRefused } from './check.ts';

const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
const user = fc.oneof(printable, fc.string({ unit: 'binary', maxLength: 10 })).map((text) => text.replaceAll(':', ''));
const credentials = fc.oneof(
	fc.tuple(user, secret).map(([name, password]) => basic(name, password)),
	secret.map((text) => `Bearer ${text}`),
);
/** Of few characters, so that different pairs are often nearly the same. */
const few = fc.string({ unit: fc.constantFrom(':', 'a', 'b'), maxLength: 4 });

/** What goes into headers for the balena API, and into cache keys. */
function assertValid(caller: Caller): void {
	if (caller.kind === 'anonymous') {
		return;
	}
	assertHeader(caller.authorization);
	assert.match(caller.authorization, /^(Basic [A-Za-z0-9+/]+=*|Bearer [\x21-\x7e]+)$/);
	assert.match(caller.secret, /^[\x21-\x7e]+$/);
	assert.match(caller.fingerprint, /^[A-Za-z0-9_-]{43}$/);
	assert.ok(caller.authorization.length <= 8192);
	// What is sent on means the same caller.
	assert.deepEqual(parseCaller(caller.authorization), caller);
}

describe('callers', () => {
	check(
		'of any header are valid in every part, or none',
		fc.property(nearly(credentials), (header) => {
			const caller = parseCaller(header);
			if (caller !== undefined) {
				assertValid(caller);
			}
		}),
	);
	check(
		'of any bytes in Basic are valid in every part, or none',
		fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
			const caller = parseCaller(`Basic ${Buffer.from(bytes).toString('base64')}`);
			if (caller !== undefined) {
				assertValid(caller);
			}
		}),
	);
	check(
		'have the user name and the secret that were sent',
		fc.property(user, secret, (name, password) => {
			const caller = parseCaller(basic(name, password));
			assert.ok(caller?.kind === 'credentials');
			assert.deepEqual([caller.authorization, caller.secret], [basic(name, password), password]);
			assert.deepEqual(callerWithPassword(name, password), caller);
		}),
	);
	check(
		'of any form are valid in every part, or none',
		fc.property(fc.oneof(anyText, user), fc.oneof(anyText, secret), (name, password) => {
			// URLSearchParams has replaced halves of surrogate pairs already.
			for (const caller of [callerWithPassword(name.toWellFormed(), password.toWellFormed()), callerWithSecret(password)]) {
				if (caller !== undefined) {
					assertValid(caller);
				}
			}
		}),
	);
	check(
		'share a fingerprint only if all of their credentials are the same',
		fc.property(
			fc.oneof(few, user),
			fc.oneof(few, secret),
			fc.oneof(few, user),
			fc.oneof(few, secret),
			(userA, passwordA, userB, passwordB) => {
				const a = callerWithPassword(userA, passwordA);
				const b = callerWithPassword(userB, passwordB);
				fc.pre(a !== undefined && b !== undefined);
				assert.equal(a.fingerprint === b.fingerprint, userA === userB && passwordA === passwordB);
				const bearer = callerWithSecret(passwordA);
				assert.ok(bearer === undefined || (bearer.fingerprint !== a.fingerprint && bearer.fingerprint !== 'anonymous'));
			},
		),
	);
});

describe('requests for a token', () => {
	const parameter = fc.tuple(
		fc.oneof(fc.constantFrom('grant_type', 'username', 'password', 'refresh_token', 'scope', 'service', '__proto__'), anyText),
		fc.oneof(fc.constantFrom('password', 'refresh_token'), nearly(secret)),
	);
	const parameters = fc.array(parameter, { maxLength: 6 }).map((entries) => new URLSearchParams(entries));

	check(
		'are valid or refused',
		fc.property(parameters, fc.option(nearly(credentials), { nil: undefined }), (form, authorization) => {
			for (const parse of [parseTokenForm, parseTokenQuery]) {
				const request = orRefused(() => parse(form, authorization));
				if (request !== undefined) {
					assertValid(request.caller);
				}
			}
		}),
	);
	check(
		'are never made on behalf of anybody whose credentials were illegible',
		fc.property(parameters, anyText, (form, authorization) => {
			const request = orRefused(() => parseTokenQuery(form, authorization));
			if (request?.caller.kind === 'anonymous') {
				assert.match(authorization, /^\s*basic +Og(==?)?\s*$/i);
			}
		}),
	);
});
