import { RegistryError } from '../errors.ts';
import { isRepository } from './name.ts';
import { parseRegistryRequest } from './request.ts';

/** Where a redirect of the upstream registry's leads. */
export type Redirect =
	/** To another host: the client may go there. */
	| { to: 'elsewhere'; location: string }
	/** To something of the registry's that this proxy serves under the same path. */
	| { to: 'proxy'; path: string }
	/** To something of the registry's that it does not, such as a signed URL of its own storage. The registry's token belongs there only below `/v2/`. */
	| { to: 'registry'; path: string; isForToken: boolean };

/**
 * @param location the redirect's target
 * @param registryUrl origin of the registry. The scheme does not matter: a registry behind TLS termination may think that it is plain http
 * @param path what the registry was asked for
 */
export function readRedirect(location: string, registryUrl: string, path: string): Redirect {
	const registry = new URL(registryUrl);
	const target = URL.parse(location, `${registryUrl}${path}`);
	if (target?.host !== registry.host) {
		// "//host/path" (RFC 3986 section 4.2) would have the client's scheme, which the registry does not know.
		return { to: 'elsewhere', location: location.startsWith('//') ? `${registry.protocol}${location}` : location };
	}
	const { pathname, search } = target;
	return search === '' && pathname !== path && isServed(pathname)
		? { to: 'proxy', path: pathname }
		: { to: 'registry', path: pathname + search, isForToken: pathname.startsWith('/v2/') };
}

/** Whether this proxy answers a path as the registry does. */
function isServed(path: string): boolean {
	try {
		const request = parseRegistryRequest(path);
		return 'name' in request && isRepository(request.name);
	} catch (error) {
		if (error instanceof RegistryError) {
			return false;
		}
		throw error;
	}
}

/** Query parameters in which signed URLs tell their life: AWS signature 4 and its namesakes of Google, the older AWS and CloudFront form, Azure. */
const SIGNED_4 = [
	['X-Amz-Date', 'X-Amz-Expires'],
	['X-Goog-Date', 'X-Goog-Expires'],
] as const;

/**
 * When a signed URL stops working, as far as it says so.
 *
 * @param location the redirect's target
 * @returns milliseconds since the epoch; undefined where the URL does not tell
 */
export function signedUntil(location: string): number | undefined {
	const query = URL.parse(location)?.searchParams;
	if (query === undefined) {
		return undefined;
	}
	for (const [date, expires] of SIGNED_4) {
		const start = basicIsoTime(query.get(date));
		const seconds = Number(query.get(expires) ?? Number.NaN);
		if (start !== undefined && Number.isFinite(seconds)) {
			return start + seconds * 1000;
		}
	}
	const epochSeconds = query.get('Expires');
	if (epochSeconds !== null && /^\d{9,11}$/.test(epochSeconds)) {
		return Number(epochSeconds) * 1000;
	}
	const azure = Date.parse(query.get('se') ?? '');
	return Number.isNaN(azure) ? undefined : azure;
}

/** `20261123T143000Z`, the basic format of ISO 8601. */
function basicIsoTime(text: string | null): number | undefined {
	const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(text ?? '');
	return match === null
		? undefined
		: Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3]), Number(match[4]), Number(match[5]), Number(match[6]));
}

/**
 * For how long a redirect may be repeated to other requests.
 *
 * @param now milliseconds since the epoch
 * @param maxMs the longest, where the URL does not tell of its own end or tells a late one
 * @returns milliseconds; at most half of the URL's remaining life, so that a client has the other half to follow it
 */
export function redirectLife(location: string, now: number, maxMs: number): number {
	const until = signedUntil(location);
	return until === undefined ? maxMs : Math.max(0, Math.min(maxMs, (until - now) / 2));
}
