import ipaddr from 'ipaddr.js';
import { isIPv6 } from 'node:net';

/**
 * What stands for a client in limits: its IPv4 address, or its IPv6 network of 64 bits, because one machine may use all addresses of that.
 *
 * @param address as Node gives it; IPv4 in IPv6 notation (`::ffff:192.0.2.7`) counts as IPv4. Undefined, whatever its type says,
 * where the connection was reset before anybody asked for it: all those are one client.
 */
export function clientKey(address: string | undefined): string {
	if (address === undefined || !address.includes(':')) {
		return address ?? 'gone';
	}
	const plain = plainAddress(address);
	if (!plain.includes(':')) {
		return plain;
	}
	return isIPv6(plain) ? `${network(plain)}::/64` : plain;
}

/**
 * What stands for a client where something is shared out: its IPv4 address, or its IPv6 network of 48 bits, which is what one
 * customer of a provider may be given (RFC 6177): as 65,536 clients of 64 bits each it would get 65,536 shares.
 *
 * @param address as above
 */
export function networkKey(address: string | undefined): string {
	const key = clientKey(address);
	return key.endsWith('::/64') ? `${key.split(':', 3).join(':')}::/48` : key;
}

/** @returns an address without the IPv6 notation around IPv4, and without a zone; empty where there is none, as above */
export function plainAddress(address: string | undefined): string {
	if (address !== undefined && !address.includes(':')) {
		return address;
	}
	return (address ?? '').replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '').split('%', 1)[0]!;
}

/** The first 64 bits of an IPv6 address, always written the same. */
function network(address: string): string {
	return ipaddr.IPv6.parse(address)
		.parts.slice(0, 4)
		.map((group) => group.toString(16))
		.join(':');
}
