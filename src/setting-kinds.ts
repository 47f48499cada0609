import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { z } from 'zod';

/*
 * The kinds of values that settings have: each is a type, its validation, and in its metadata what it accepts, in words.
 * Durations are in seconds where a person sets them, and in milliseconds once they are parsed.
 */

declare module 'zod' {
	interface GlobalMeta {
		/** What is accepted, in words. */
		accepts?: string;
		/** Of which only the presence may be shown. */
		isSecret?: boolean;
		/** Set in seconds, kept in milliseconds. */
		isDuration?: boolean;
	}
}

const MAX_SECONDS = 7 * 24 * 3600;

/** @param min, max included */
export const whole = (min: number, max: number) =>
	z
		.string()
		.regex(/^\d{1,15}$/)
		.transform(Number)
		.refine((n) => n >= min && n <= max)
		.meta({ accepts: `a whole number from ${min} to ${max}` });

/** @param min in seconds; the value is in milliseconds */
export const seconds = (min = 0) =>
	z
		.string()
		.regex(/^\d{1,7}(\.\d{1,3})?$/)
		// Timers want whole milliseconds, and 1.001 * 1000 is a little less than 1001.
		.transform((text) => Math.round(Number(text) * 1000))
		.refine((ms) => ms >= min * 1000 && ms <= MAX_SECONDS * 1000)
		.meta({ accepts: `seconds, from ${min} to ${MAX_SECONDS}`, isDuration: true });

/** One of the words given. */
export const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
	z.enum(values).meta({ accepts: `one of ${values.join(', ')}` });

/** A host, with a port or without. */
export const host = z
	.string()
	.regex(/^[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,252}[a-zA-Z0-9])?(?::\d{1,5})?$/)
	.refine((text) => URL.canParse(`https://${text}`))
	.meta({ accepts: 'a host name, with a port if it needs one' });

/** A host that can have another name before it, which an address cannot. */
export const domain = host.refine((text) => URL.canParse(`https://api.${text}`)).meta({ accepts: 'a domain name, such as example.com' });

/** An origin: nothing but scheme, host and port, because paths are this service's own business. */
export const origin = z
	.string()
	.refine((text) => {
		const url = URL.parse(text);
		return url !== null && /^https?:$/.test(url.protocol) && `${url.origin}/` === url.href;
	})
	.transform((text) => new URL(text).origin)
	.meta({ accepts: 'an http or https URL without a path, such as https://registry.example.com' });

/** As curl takes it: without a scheme, it is http. */
export const egressProxy = z
	.string()
	.transform((text) => (text.includes('://') ? text : `http://${text}`))
	.refine((text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ''))
	.meta({ accepts: 'an http or https URL, such as http://user:password@proxy:3128', isSecret: true });

/** As curl takes `NO_PROXY`. */
export const hostList = z
	.string()
	.regex(/^[\x21-\x7e\s]+$/)
	.meta({ accepts: 'host names and addresses, separated by commas, such as localhost,.svc.cluster.local' });

const NAMED_NETWORKS = new Set(['loopback', 'linklocal', 'uniquelocal']);

/** Addresses or networks, as proxy-addr takes them. A number of hops is refused: Fastify would silently trust none. */
export const trustProxy = z
	.string()
	.transform((text): boolean | string[] => (text === 'true' ? true : text === 'false' ? false : text.split(',').map((part) => part.trim())))
	.refine((value) => typeof value === 'boolean' || value.every((part) => NAMED_NETWORKS.has(part) || isNetwork(part)))
	.meta({
		accepts:
			'true, false, or addresses and networks of the proxies in front, such as 10.0.0.0/8,loopback (a number of hops is not possible)',
	});

/** A list of addresses and networks; may be empty. */
export const addresses = z
	.string()
	.transform((text) =>
		text
			.split(',')
			.map((part) => part.trim())
			.filter((part) => part !== ''),
	)
	.refine((parts) => parts.every(isNetwork))
	.meta({ accepts: 'addresses or networks, separated by commas, such as 192.0.2.7,10.0.0.0/8' });

/** The path of a file that can be read. */
export const file = z
	.string()
	.refine((path) => {
		try {
			return readFileSync(path).length > 0;
		} catch {
			return false;
		}
	})
	.meta({ accepts: 'the path of a readable file' });

function isNetwork(text: string): boolean {
	const [address = '', bits, ...rest] = text.split('/');
	const width = isIP(address) === 6 ? 128 : 32;
	return (
		isIP(address) !== 0 &&
		!address.includes('%') &&
		rest.length === 0 &&
		(bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= width))
	);
}
