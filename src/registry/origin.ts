import { RegistryError } from '../errors.ts';

// A host name, which may end with the root's dot (RFC 3986 section 3.2.2), an IPv4 address or a bracketed IPv6 address, with a
// port: what may be echoed into a realm.
const HOST = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,252}[a-zA-Z0-9])?\.?|\[[0-9a-fA-F:.]{2,45}\])(?::\d{1,5})?$/;

/**
 * The origin under which a client reached this service, for realms and links.
 *
 * @param fixed PUBLIC_URL, which always wins
 * @param protocol `http` or `https`, as seen by the client; anything else can only have come in X-Forwarded-Proto, from a trusted hop
 * @param host likewise
 * @param hostHeader the header that the host came in
 * @throws RegistryError where either is none; it comes from a header and is not to be trusted
 */
export function publicOrigin(fixed: string | undefined, protocol: string, host: string | undefined, hostHeader = 'Host'): string {
	if (fixed !== undefined) {
		return fixed;
	}
	if (protocol !== 'http' && protocol !== 'https') {
		throw invalid('the X-Forwarded-Proto header is neither http nor https');
	}
	if (host === undefined || !HOST.test(host)) {
		throw invalid(`the ${hostHeader} header is not a valid host name`);
	}
	return `${protocol}://${host}`;
}

function invalid(message: string): RegistryError {
	return new RegistryError('UNSUPPORTED', message, { status: 400 });
}
