import type { IncomingHttpHeaders } from 'node:http';
import { RegistryError } from '../errors.ts';
import { callerWithPassword, callerWithSecret, parseCaller, type Caller } from '../balena/caller.ts';
import { parseScopes, type Scope } from '../registry/scope.ts';

/** A request for a token, in either of its forms, parsed. `service` is not in it: the upstream registry's is always used. */
export interface TokenRequest {
	caller: Caller;
	scopes: Scope[];
}

/**
 * Parses the GET form: distribution's "Token Authentication Specification".
 *
 * @param query the URL's query
 * @throws RegistryError UNAUTHORIZED for credentials that cannot be any
 */
export function parseTokenQuery(query: URLSearchParams, authorization: string | undefined): TokenRequest {
	return { caller: valid(parseCaller(authorization)), scopes: parseScopes(query.getAll('scope')) };
}

/**
 * Parses the POST form: distribution's "OAuth2 Token Authentication", which containerd and BuildKit try first when they have
 * credentials. A refresh token is taken for an API key: this proxy issues none, so that one can only have been configured by
 * hand.
 *
 * @param form the body
 * @throws RegistryError UNAUTHORIZED likewise; with status 400 for another grant type, upon which containerd falls back to GET
 */
export function parseTokenForm(form: URLSearchParams, authorization: string | undefined): TokenRequest {
	for (const name of SINGLE) {
		if (form.getAll(name).length > 1) {
			throw unreadable(`${name} is there more than once`, 400);
		}
	}
	const scopes = parseScopes(form.getAll('scope'));
	switch (form.get('grant_type')) {
		case 'password':
			return { caller: valid(callerWithPassword(form.get('username') ?? '', form.get('password') ?? '')), scopes };
		case 'refresh_token':
			return { caller: valid(callerWithSecret(form.get('refresh_token') ?? '')), scopes };
		case null:
			if (SECRETS.some((name) => form.has(name))) {
				throw unreadable('credentials need a grant_type', 400);
			}
			return { caller: valid(parseCaller(authorization)), scopes };
		default:
			throw unreadable('grant_type has to be "password" or "refresh_token"', 400);
	}
}

/** RFC 6749 section 3.2: parameters are not repeated. `scope` is, by containerd. */
const SINGLE = ['grant_type', 'username', 'password', 'refresh_token'];
const SECRETS = ['password', 'refresh_token'];
const CHARSET = /;\s*charset\s*=\s*"?([^";\s]*)/i;

/**
 * Checks, before it is read, that a body is a form in a form that is read here: what cannot be read may be a login, and is not an
 * anonymous caller's.
 *
 * @throws RegistryError with status 415, RFC 9110 section 15.5.16
 */
export function checkForm(headers: IncomingHttpHeaders): void {
	if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) {
		return;
	}
	const type = headers['content-type'] ?? '';
	if (type.split(';', 1)[0]!.trim().toLowerCase() !== 'application/x-www-form-urlencoded') {
		throw unreadable('the body has to be a form: application/x-www-form-urlencoded', 415);
	}
	if (!/^(?:utf-8|utf8|us-ascii)?$/i.test(CHARSET.exec(type)?.[1] ?? '')) {
		throw unreadable('the form has to be UTF-8', 415);
	}
	if (!/^(?:identity)?$/i.test(headers['content-encoding'] ?? '')) {
		throw unreadable('the form must not be compressed', 415);
	}
}

function unreadable(message: string, status: number): RegistryError {
	return new RegistryError('UNSUPPORTED', message, { status });
}

function valid(caller: Caller | undefined): Caller {
	if (caller === undefined) {
		throw new RegistryError('UNAUTHORIZED', 'the credentials are not legible: use any user name, and a balena API key as the password', {
			forPeople: true,
		});
	}
	return caller;
}
