import type { IncomingHttpHeaders } from 'node:http';
import { RegistryError, type ErrorBody } from '../errors.ts';
import { retryAfterSeconds } from '../http/retry-after.ts';
import { headerText } from './headers.ts';

export interface ErrorResponse {
	status: number;
	/** HTTP/1.1 reason phrase; undefined for the status's own. */
	reason: string | undefined;
	headers: Record<string, string>;
	body: ErrorBody;
}

/**
 * These print "not found" for a 404 and nothing else, but show reason phrase and message of a 403. `Docker-Client/` is the
 * command line itself, which asks for `docker manifest`, and goes on to the next endpoint upon MANIFEST_UNKNOWN, NAME_UNKNOWN and
 * UNAUTHORIZED (docker/cli, cli/registry/client/fetcher.go); the engine's own agent has that name only in brackets.
 */
const HIDES_404 = /containerd|buildkit|^docker-client\//i;

/**
 * The answer to an error, so that its sentence reaches the person: the body's `message`, which most clients print, and for those
 * that do not, the reason phrase and a `Warning` header (RFC 7234 section 5.5), which containers/image, regclient and containerd
 * 2.4 print.
 *
 * @param userAgent decides only how a sentence for people travels, never what is allowed
 */
export function errorResponse(error: RegistryError, userAgent: string | undefined): ErrorResponse {
	// A 5xx is what Docker and balena-engine show by its status line alone, whatever the body says.
	if (!error.forPeople && error.statusCode < 500) {
		return { status: error.statusCode, reason: undefined, headers: error.headers, body: error.body };
	}
	const sentence = headerText(error.message);
	const hidden = error.statusCode === 404 && HIDES_404.test(userAgent ?? '');
	const shown = hidden ? new RegistryError('DENIED', error.message, { headers: error.headers }) : error;
	return {
		status: shown.statusCode,
		reason: sentence,
		headers: { ...shown.headers, warning: `299 - "${sentence.replace(/["\\]/g, "'")}"` },
		body: shown.body,
	};
}

/**
 * What to tell the client for an error answer of the upstream registry. Its body is not passed on: it names the repository behind
 * the friendly name.
 *
 * @param status the upstream's
 * @param what the thing asked for, and how it is called
 * @param upstream its headers, of which `Retry-After` and `Content-Range` matter to the client
 * @param cause for the log
 */
export function upstreamStatusError(
	status: number,
	what: { kind: string; name: string; item: string },
	upstream: IncomingHttpHeaders,
	cause?: Error,
): RegistryError {
	const seconds = retryAfterSeconds(upstream['retry-after'], Date.now());
	const headers: Record<string, string> = seconds === undefined ? {} : { 'retry-after': seconds };
	switch (status) {
		case 403:
			return new RegistryError('DENIED', `the registry does not allow this access to ${what.name}`, { cause });
		case 404:
			switch (what.kind) {
				case 'manifest':
					return new RegistryError('MANIFEST_UNKNOWN', `${what.name} has no manifest ${what.item}`, { cause });
				case 'blob':
					return new RegistryError('BLOB_UNKNOWN', `${what.name} has no blob ${what.item}`, { cause });
				case 'referrers':
					// Not NAME_UNKNOWN: oras-go takes that for a repository that is not there, and any other code for a registry
					// without this API.
					return new RegistryError('UNSUPPORTED', `the registry has no list of referrers for ${what.name}`, { status: 404, cause });
				default:
					return new RegistryError('NAME_UNKNOWN', `the registry has nothing like this for ${what.name}`, { cause });
			}
		case 416:
			return new RegistryError('UNSUPPORTED', `${what.item} does not have the range that was asked for`, {
				status,
				headers: pick(upstream, 'content-range'),
				cause,
			});
		case 429:
			return new RegistryError('TOOMANYREQUESTS', 'the registry answers that there are too many requests; try again later', {
				headers,
				cause,
			});
		case 503:
			return new RegistryError('UNAVAILABLE', 'the registry is not available at the moment; try again later', { headers, cause });
		default:
			// A success or a redirect where neither can be: as broken as a 500.
			return status >= 500 || status < 400
				? new RegistryError('UNAVAILABLE', 'the registry failed to answer; try again later', { status: 502, cause })
				: new RegistryError('UNSUPPORTED', `the registry refused the request (${status})`, { status, cause });
	}
}

function pick(headers: IncomingHttpHeaders, name: string): Record<string, string> {
	const value = headers[name];
	return typeof value === 'string' ? { [name]: value } : {};
}
