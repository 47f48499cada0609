import { isIP, isIPv4, isIPv6, SocketAddress } from 'node:net';
import { plainAddress } from './client-address.ts';
import { blockList, includesAddress } from './networks.ts';

/*
 * What the hops in front of this service say of a request: X-Forwarded-For, -Proto and -Host. No standard describes them; an
 * address in one of them is written as RFC 7239 section 6 has it, which is what hops do in fact.
 */

/** The names that TRUST_PROXY knows. */
const NAMED_NETWORKS: Record<string, string[]> = {
	loopback: ['127.0.0.0/8', '::1/128'],
	linklocal: ['169.254.0.0/16', 'fe80::/10'],
	uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/** A port, or what stands for one: RFC 7239 section 6. */
const PORT = /^:(?:\d{1,5}|_[A-Za-z0-9._-]+)$/;

/**
 * @param setting TRUST_PROXY, parsed
 * @returns whether a peer with an address is one of the hops in front
 */
export function trustedHops(setting: boolean | readonly string[]): (address: string | undefined) => boolean {
	if (typeof setting === 'boolean') {
		return () => setting;
	}
	const list = blockList(setting.flatMap((entry) => NAMED_NETWORKS[entry] ?? [entry]));
	return (address) => includesAddress(list, address);
}

/**
 * Reads one address as a hop writes it: with a port, in brackets, with a zone, in quotes.
 *
 * @returns the address alone, in its shortest form, so that it is the same address for trust, limits and the log; undefined for
 * what is none, such as `unknown`
 */
export function forwardedAddress(text: string): string | undefined {
	const node = text.trim().replace(/^"(.*)"$/, '$1');
	const end = node.startsWith('[') ? node.indexOf(']') : node.indexOf(':');
	if (node.startsWith('[')) {
		const rest = node.slice(end + 1);
		return end > 0 && (rest === '' || PORT.test(rest)) ? shortest(node.slice(1, end), isIPv6) : undefined;
	}
	// One colon is a port's; an IPv6 address has two at least.
	return end > 0 && PORT.test(node.slice(end)) ? shortest(node.slice(0, end), isIPv4) : shortest(node, (address) => isIP(address) !== 0);
}

function shortest(text: string, isAddress: (text: string) => boolean): string | undefined {
	if (!isAddress(text)) {
		return undefined;
	}
	const plain = plainAddress(text);
	return isIPv6(plain) ? plainAddress(new SocketAddress({ address: plain, family: 'ipv6' }).address) : plain;
}

/**
 * @param header X-Forwarded-For
 * @returns the same with nothing but addresses in it. It is read from its end, where the nearest hop has written, as far as it
 * can be read: who is before that is not known, so that the hop that said so is the client.
 */
export function forwardedAddresses(header: string): string {
	const addresses: string[] = [];
	for (const text of header.split(',').reverse()) {
		const address = text.trim() === '' ? '' : forwardedAddress(text);
		if (address === undefined) {
			break;
		}
		if (address !== '') {
			addresses.unshift(address);
		}
	}
	return addresses.join(', ');
}

/**
 * @param header X-Forwarded-Proto or -Host, to which each hop may have added what it saw
 * @param hops how many trusted ones there are; undefined where no hop said from whom it had the request, so that all who wrote
 * are taken for them
 * @returns what the outermost of them saw, which is what the client did
 */
export function outermostValue(header: string, hops: number | undefined): string {
	const values = header
		.split(',')
		.map((value) => value.trim())
		.filter((value) => value !== '');
	return values[Math.max(0, values.length - (hops ?? Infinity))] ?? '';
}
