import type { IncomingHttpHeaders } from 'node:http';

/*
 * Which headers cross the proxy. Requests by a list of what may pass, because clients are not to be trusted with anything else towards the registry;
 * responses by a list of what may not, because the registry may say more than this proxy knows of.
 */

/** Content negotiation, ranges and conditions: RFC 9110 sections 12 to 14. */
const REQUEST_HEADERS = ['accept', 'accept-encoding', 'range', 'if-range', 'if-none-match', 'if-modified-since', 'user-agent'] as const;

/** Hop by hop (RFC 9110 section 7.6.1), about the registry's own host (RFC 6265, 6797, 7838), said anew by this proxy, or no name that an object can hold safely. */
const OWN_RESPONSE_HEADERS = new Set([
	'connection',
	'keep-alive',
	'proxy-authenticate',
	'proxy-connection',
	'te',
	'trailer',
	'transfer-encoding',
	'upgrade',
	'www-authenticate',
	'set-cookie',
	'strict-transport-security',
	'alt-svc',
	'clear-site-data',
	'x-request-id',
	'__proto__',
]);

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

/** @returns the headers of the upstream registry that the client may see. */
export function forwardedResponseHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
	const forwarded: IncomingHttpHeaders = {};
	for (const name in headers) {
		if (!OWN_RESPONSE_HEADERS.has(name)) {
			forwarded[name] = headers[name];
		}
	}
	return forwarded;
}

/**
 * Turns a redirect that leads back to the upstream registry into one that leads through this proxy, because clients hold no token for the registry
 * itself. The scheme does not matter: a registry behind TLS termination may think it is plain http. Every other redirect is left as it is.
 */
export function rewriteLocation(location: string, registryUrl: string, ownOrigin: string): string {
	const registry = new URL(registryUrl);
	// "//host/path" (RFC 3986 section 4.2) leads there as well, and other relative ones to this proxy already.
	const target = URL.parse(location.startsWith('//') ? `${registry.protocol}${location}` : location);
	return target?.host === registry.host ? `${ownOrigin}${target.pathname}${target.search}` : location;
}

/** @returns a text as it may stand in a header or a reason phrase: printable ASCII, of bounded length. */
export function headerText(text: string): string {
	return text
		.replace(/[^\x20-\x7e]+/g, ' ')
		.trim()
		.slice(0, 400);
}
