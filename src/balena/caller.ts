import { createHmac, randomBytes } from 'node:crypto';
import type { EventEmitter } from 'node:events';

/** The machine that a request came from: whose share of what is scarce is used up, and who can go away. No answer depends on it. */
export interface Client {
	/** As `request.ip`. */
	address: string;
	/** Emits "close" when the answer is out, or nobody is there for it any more. None where several wait for the same. */
	connection?: Pick<EventEmitter, 'once'>;
}

/** On whose behalf something is asked of the balena API. */
export type Caller =
	| { kind: 'anonymous'; fingerprint: 'anonymous'; client?: Client }
	| {
			kind: 'credentials';
			client?: Client;
			/** The `Authorization` header for the API's token endpoint, as the client sent it. */
			authorization: string;
			/** The API key or session token in it, for the OData API. */
			secret: string;
			/** What may stand in a cache key: it differs for different credentials and does not reveal them. */
			fingerprint: string;
	  };

export const ANONYMOUS: Caller = { kind: 'anonymous', fingerprint: 'anonymous' };

/** Longest `Authorization` value that is looked at, in characters. A session token of the balena API is about 1,500 long. */
const MAX_AUTHORIZATION_LENGTH = 8192;
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
/** RFC 9110 section 5.5: what a header value may hold. */
const HEADER_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
/** A session token of the balena API is a JWT: RFC 7519, of which the first part is JSON that begins with `{"`. */
const SESSION = /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/;
/** Fingerprints mean something in this process only, so that one that leaks cannot be matched against guesses. */
const fingerprintKey = randomBytes(32);

/**
 * Reads who asks from an `Authorization` header: RFC 7617 Basic with any user name and an API key as the password, or RFC 6750 Bearer with
 * an API key or a session token.
 *
 * @returns undefined where the header cannot be credentials of the balena API. No header, or Basic with both parts empty (which
 * some clients send when they have no credentials), is the anonymous caller.
 */
export function parseCaller(authorization: string | undefined): Caller | undefined {
	if (authorization === undefined) {
		return ANONYMOUS;
	}
	if (authorization.length > MAX_AUTHORIZATION_LENGTH) {
		return undefined;
	}
	const [scheme = '', value = '', ...rest] = authorization.trim().split(/ +/);
	if (rest.length > 0) {
		return undefined;
	}
	switch (scheme.toLowerCase()) {
		case 'basic':
			return BASE64.test(value) ? fromUserAndPassword(Buffer.from(value, 'base64').toString()) : undefined;
		case 'bearer':
			return callerWithSecret(value);
		default:
			return undefined;
	}
}

/**
 * @returns the caller of the OAuth2 password form, which carries user name and password as parameters. RFC 7617: a user name
 * holds no colon.
 */
export function callerWithPassword(username: string, password: string): Caller | undefined {
	if (username.includes(':')) {
		return undefined;
	}
	return username === '' && password === '' ? ANONYMOUS : fromUserAndPassword(`${username}:${password}`);
}

/** @returns the caller who holds an API key or a session token; undefined where the text cannot be one. */
export function callerWithSecret(secret: string): Caller | undefined {
	return isSecret(secret) ? credentials(`Bearer ${secret}`, secret) : undefined;
}

function fromUserAndPassword(text: string): Caller | undefined {
	const colon = text.indexOf(':');
	if (text === ':') {
		return ANONYMOUS;
	}
	const secret = text.slice(colon + 1);
	if (SESSION.test(secret)) {
		// The API takes it for a session as a Bearer only. A key stays as it came: the user name beside a device's may count.
		return callerWithSecret(secret);
	}
	return colon >= 0 && isSecret(secret) ? credentials(`Basic ${Buffer.from(text).toString('base64')}`, secret) : undefined;
}

/** API keys and session tokens are printable ASCII without spaces; anything else cannot go into a header. */
function isSecret(text: string): boolean {
	return HEADER_VALUE.test(text) && !text.includes(' ');
}

function credentials(authorization: string, secret: string): Caller | undefined {
	// A form's can be longer than any header may be.
	if (authorization.length > MAX_AUTHORIZATION_LENGTH) {
		return undefined;
	}
	// The whole header, not only the secret: the API may tell a device's key by the user name beside it.
	return { kind: 'credentials', authorization, secret, fingerprint: fingerprintOf(authorization, fingerprintKey) };
}

/** @returns what tells an `Authorization` value from any other, and reveals it to nobody who has not the key */
export function fingerprintOf(authorization: string, key: Buffer): string {
	return createHmac('sha256', key).update(authorization).digest('base64url');
}
