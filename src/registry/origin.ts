import { RegistryError } from '../errors.ts';

// A host name, an IPv4 address or a bracketed IPv6 address, with a port: what may be echoed into a realm.
const HOST = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,252}[a-zA-Z0-9])?|\[[0-9a-fA-F:.]{2,45}\])(?::\d{1,5})?$/;

/**
 * The origin under which a client reached this service, for realms and links.
 *
 * @param fixed PUBLIC_URL, which always wins
 * @param protocol `http` or `https`, as seen by the client; X-Forwarded-Proto counts only from trusted proxies
 * @param host likewise
 * @throws RegistryError where the host is not one; it comes from a header and is not to be trusted
 */
export function publicOrigin(fixed: string | undefined, protocol: string, host: string | undefined): string {
	if (fixed !== undefined) {
		return fixed;
	}
	if (host === undefined || !HOST.test(host) || (protocol !== 'http' && protocol !== 'https')) {
		throw new RegistryError('UNSUPPORTED', 'the Host header is not a valid host name', { status: 400 });
	}
	return `${protocol}://${host}`;
}
