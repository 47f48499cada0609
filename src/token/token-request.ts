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
 * Parses the POST form: distribution's "OAuth2 Token Authentication", which containerd and BuildKit try first when they have credentials. A refresh token
 * is taken for an API key: this proxy issues none, so that one can only have been configured by hand.
 *
 * @param form the body
 * @throws RegistryError UNAUTHORIZED likewise; with status 400 for another grant type, upon which containerd falls back to GET
 */
export function parseTokenForm(form: URLSearchParams, authorization: string | undefined): TokenRequest {
	const scopes = parseScopes(form.getAll('scope'));
	switch (form.get('grant_type')) {
		case 'password':
			return { caller: valid(callerWithPassword(form.get('username') ?? '', form.get('password') ?? '')), scopes };
		case 'refresh_token':
			return { caller: valid(callerWithSecret(form.get('refresh_token') ?? '')), scopes };
		case null:
			return { caller: valid(parseCaller(authorization)), scopes };
		default:
			throw new RegistryError('UNSUPPORTED', 'grant_type has to be "password" or "refresh_token"', { status: 400 });
	}
}

function valid(caller: Caller | undefined): Caller {
	if (caller === undefined) {
		throw new RegistryError('UNAUTHORIZED', 'the credentials are not legible: use any user name, and a balena API key as the password', {
			forPeople: true,
		});
	}
	return caller;
}
