import { RegistryError } from '../errors.ts';
import { isRepository } from './name.ts';
import { parseRegistryRequest } from './request.ts';

/** Where a redirect of the upstream registry's leads. */
export type Redirect =
	/** To another host: the client may go there. */
	| { to: 'elsewhere'; location: string }
	/** To something of the registry's that this proxy serves under the same path. */
	| { to: 'proxy'; path: string }
	/**
	 * To something of the registry's that it does not, such as a signed URL of its own storage. The registry's token belongs
	 * there only below `/v2/`.
	 */
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

/** AWS signature 4, in small letters, and its namesakes of Google, Alibaba (OSS 4), Volcengine: how long, from `x-<vendor>-date` on. */
const SIGNED_4 = /^x-([a-z]+)-expires$/;

/** Parameters that are seconds since the epoch: the older AWS, OSS and CloudFront form, Swift's temporary URLs. */
const EPOCH_SECONDS = ['expires', 'temp_url_expires'] as const;

/** Those that are times as ISO 8601 writes them: Azure's, and Swift's other form. */
const ISO_TIMES = ['se', 'temp_url_expires'] as const;

/** Parts of parameters that are: Tencent's COS (`<start>;<end>`), Akamai's tokens (`exp=<end>~hmac=...`). */
const EPOCH_PARTS = [
	['q-sign-time', /^\d{9,11};(\d{9,11})$/],
	['hdnts', /(?:^|~)exp=(\d{9,11})(?=~|$)/],
	['hdnea', /(?:^|~)exp=(\d{9,11})(?=~|$)/],
	['__token__', /(?:^|~)exp=(\d{9,11})(?=~|$)/],
] as const;

/**
 * When a signed URL stops working, as far as it says so.
 *
 * @param location the redirect's target
 * @returns milliseconds since the epoch; undefined where the URL does not tell
 */
export function signedUntil(location: string): number | undefined {
	const query = parametersOf(location);
	for (const [name, text] of query) {
		const vendor = SIGNED_4.exec(name)?.[1];
		const start = vendor === undefined ? undefined : basicIsoTime(query.get(`x-${vendor}-date`));
		const seconds = Number(text);
		if (start !== undefined && Number.isFinite(seconds)) {
			return start + seconds * 1000;
		}
	}
	const epochSeconds =
		EPOCH_SECONDS.map((name) => query.get(name)).find((text) => text !== undefined && /^\d{9,11}$/.test(text)) ??
		EPOCH_PARTS.map(([name, pattern]) => pattern.exec(query.get(name) ?? '')?.[1]).find((text) => text !== undefined);
	if (epochSeconds !== undefined) {
		return Number(epochSeconds) * 1000;
	}
	const isoTime = ISO_TIMES.map((name) => Date.parse(query.get(name) ?? '')).find((time) => !Number.isNaN(time));
	return isoTime ?? policyEnd(query.get('policy'));
}

/** The first of each parameter, by its name in small letters: some storages write `x-amz-date`. */
function parametersOf(location: string): Map<string, string> {
	return new Map(
		[...(URL.parse(location)?.searchParams ?? [])].map(([name, value]): [string, string] => [name.toLowerCase(), value]).reverse(),
	);
}

/** CloudFront's `Policy`: JSON in base64, with "-", "_" and "~" for "+", "=" and "/" ("Creating a signed URL using a custom policy"). */
function policyEnd(policy: string | undefined): number | undefined {
	const text = Buffer.from((policy ?? '').replaceAll('-', '+').replaceAll('_', '=').replaceAll('~', '/'), 'base64').toString('latin1');
	const seconds = /"DateLessThan":\{"AWS:EpochTime":(\d{9,11})\}/.exec(text)?.[1];
	return seconds === undefined ? undefined : Number(seconds) * 1000;
}

/** `20261123T143000Z`, the basic format of ISO 8601. */
function basicIsoTime(text: string | undefined): number | undefined {
	const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(text ?? '');
	return match === null
		? undefined
		: Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3]), Number(match[4]), Number(match[5]), Number(match[6]));
}

/**
 * In the name of a parameter, or at the end of its value: what a signature looks like whose life is not understood. Cloudflare's
 * is `<time>-<base64>`, Alibaba's CDN's ends in an MD5.
 */
const SIGNATURE_NAME = /sign|sig|hmac|mac|token|policy|credential|auth|verify|hash|md5|sha|hdn|key/;
const SIGNATURE_VALUE = /(?:[0-9a-f]{32}|[0-9a-z+/_-]{40,}={0,2}|[0-9a-z+/]{20,}={1,2})$/i;
const MAX_SIGNATURE_LENGTH = 90;
const isMac = (text: string): boolean => SIGNATURE_VALUE.test(text.slice(-MAX_SIGNATURE_LENGTH));

/** For such a URL: enough for the connections that Docker opens for one image. */
const UNKNOWN_LIFE_MS = 5000;

/**
 * For how long a redirect may be repeated to other requests.
 *
 * @param now milliseconds since the epoch
 * @param maxMs the longest, where the URL is not signed or tells a late end
 * @returns milliseconds; at most half of the URL's remaining life, so that a client has the other half to follow it
 */
export function redirectLife(location: string, now: number, maxMs: number): number {
	const until = signedUntil(location);
	if (until === undefined) {
		const looksSigned = [...parametersOf(location)].some(([name, value]) => SIGNATURE_NAME.test(name) || isMac(name) || isMac(value));
		return looksSigned ? Math.min(maxMs, UNKNOWN_LIFE_MS) : maxMs;
	}
	return Math.max(0, Math.min(maxMs, (until - now) / 2));
}
