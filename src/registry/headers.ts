import type { IncomingHttpHeaders } from 'node:http';

/*
 * Which headers cross the proxy, in either direction by a list of what may pass: clients are not to be trusted with anything else
 * towards the registry, and of what the registry and whatever is in front of it say of their own host, nothing is true of this
 * one.
 */

/** Content negotiation, ranges and conditions: RFC 9110 sections 12 to 14. */
const REQUEST_HEADERS = ['accept', 'accept-encoding', 'range', 'if-range', 'if-none-match', 'if-modified-since', 'user-agent'] as const;

/**
 * What describes the content (RFC 9110 sections 8, 10.2.2, 14 and 12.5.5) and the registry's own: distribution-spec, and
 * distribution's deprecation warnings.
 */
const RESPONSE_HEADERS = [
	'content-type',
	'content-length',
	'content-encoding',
	'content-range',
	'accept-ranges',
	'docker-content-digest',
	'etag',
	'last-modified',
	'vary',
	'oci-subject',
	'oci-filters-applied',
	'warning',
] as const;

/** Of the bytes of an answer, whoever has them. */
const OF_BYTES = ['content-length', 'content-encoding', 'content-range', 'accept-ranges'] as const;

/**
 * Said of every answer below `/v2/`: no cache but the client's own may keep it, because a credential decides who gets it (RFC
 * 9111 section 5.2.2.7), and nobody should guess what it is.
 */
export const PRIVATE_HEADERS = {
	'docker-distribution-api-version': 'registry/2.0',
	'cache-control': 'private',
	'x-content-type-options': 'nosniff',
} as const;

/** @returns the headers of a client that the upstream registry may see. */
export function forwardedRequestHeaders(headers: IncomingHttpHeaders): Record<string, string> {
	const forwarded: Record<string, string> = {};
	for (const name of REQUEST_HEADERS) {
		const value = headers[name];
		if (typeof value === 'string') {
			forwarded[name] = value;
		}
	}
	return forwarded;
}

/**
 * @param headers a client's
 * @param digest of the blob that it asks for
 * @returns those that object storage may see: no conditions, which are about the blob and not about what the storage calls it
 */
export function storageRequestHeaders(headers: IncomingHttpHeaders, digest: string): Record<string, string> {
	const { 'if-range': condition = `"${digest}"`, range, 'accept-encoding': acceptEncoding, 'user-agent': userAgent } = headers;
	return {
		...(range === undefined || condition !== `"${digest}"` ? {} : { range }),
		...(acceptEncoding === undefined ? {} : { 'accept-encoding': String(acceptEncoding) }),
		...(userAgent === undefined ? {} : { 'user-agent': userAgent }),
	};
}

/**
 * @param headers an answer of the upstream registry's
 * @param isImmutable whether it was asked for by digest, so that the client may keep it for as long as the registry says
 * @returns the headers that the client sees of it, beside `PRIVATE_HEADERS`; neither a redirect's target nor a challenge
 */
export function answerHeaders(headers: IncomingHttpHeaders, isImmutable: boolean): Record<string, string | string[]> {
	const kept: Record<string, string | string[]> = {};
	for (const name of RESPONSE_HEADERS) {
		const value = headers[name];
		if (value !== undefined) {
			kept[name] = value;
		}
	}
	const age = isImmutable ? maxAge(headers['cache-control']) : undefined;
	if (age !== undefined) {
		kept['cache-control'] = `private, max-age=${age}`;
	}
	return kept;
}

const DESCRIBING: ReadonlySet<string> = new Set([...RESPONSE_HEADERS, 'link', 'location']);

/** @returns whether a header that a client is sent says something of the answer, and not of the connection or the request */
export function describesAnswer(name: string): boolean {
	return DESCRIBING.has(name);
}

/** @returns the seconds of a `Cache-Control`, unless it forbids to keep the answer: RFC 9111 section 5.2.2 */
function maxAge(cacheControl: string | undefined): string | undefined {
	return cacheControl === undefined || /no-store|no-cache/i.test(cacheControl)
		? undefined
		: /(?:^|[\s,])max-age=(\d{1,10})(?=[\s,]|$)/i.exec(cacheControl)?.[1];
}

/**
 * @param headers an answer of object storage, to which a redirect of a blob was followed
 * @param digest of the blob
 * @returns what the client sees of it: the blob's own headers, and of the storage's those of the bytes
 */
export function followedHeaders(headers: IncomingHttpHeaders, digest: string): Record<string, string | string[]> {
	const kept: Record<string, string | string[]> = {
		'content-type': 'application/octet-stream',
		'docker-content-digest': digest,
		etag: `"${digest}"`,
	};
	for (const name of OF_BYTES) {
		const value = headers[name];
		if (value !== undefined) {
			kept[name] = value;
		}
	}
	return kept;
}

/** @returns a text as it may stand in a header or a reason phrase: printable ASCII, of bounded length. */
export function headerText(text: string): string {
	return text
		.replace(/[^\x20-\x7e]+/g, ' ')
		.trim()
		.slice(0, 400);
}
