import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { plainAddress } from './client-address.ts';

/**
 * Networks in which the machine itself, its cloud's metadata service or nobody in particular answers: RFC 1122 section 3.2.1.3,
 * RFC 3927, RFC 4291 sections 2.5.2 to 2.7, RFC 3879 (site-local), RFC 5771 (multicast).
 */
const LOCAL_NETWORKS: [address: string, bits: number, family: 'ipv4' | 'ipv6'][] = [
	['0.0.0.0', 8, 'ipv4'],
	['127.0.0.0', 8, 'ipv4'],
	['169.254.0.0', 16, 'ipv4'],
	['224.0.0.0', 4, 'ipv4'],
	['255.255.255.255', 32, 'ipv4'],
	// The clouds' own that are not link-local: Alibaba's metadata, Azure's platform ("wire server"), Oracle's.
	['100.100.100.200', 32, 'ipv4'],
	['168.63.129.16', 32, 'ipv4'],
	['192.0.0.192', 32, 'ipv4'],
	['fe80::', 10, 'ipv6'],
	['fec0::', 10, 'ipv6'],
	['ff00::', 8, 'ipv6'],
	// Metadata of Amazon, Google, Oracle, Akamai and Scaleway.
	['fd00:ec2::', 32, 'ipv6'],
	['fd20:ce::', 32, 'ipv6'],
	['fd00:c1::a9fe:a9fe', 128, 'ipv6'],
	['fd00:a9fe:a9fe::1', 128, 'ipv6'],
	['fd00:42::42', 128, 'ipv6'],
	// IPv4 in IPv6 clothes that `plainAddress` does not take off: compatible (with loopback), translated (RFC 2765), NAT64 (RFC
	// 6052, 8215), Teredo (RFC 4380), 6to4 (RFC 3056).
	['::', 96, 'ipv6'],
	['::ffff:0:0:0', 96, 'ipv6'],
	['64:ff9b::', 96, 'ipv6'],
	['64:ff9b:1::', 48, 'ipv6'],
	['2001::', 32, 'ipv6'],
	['2002::', 16, 'ipv6'],
];

const local = new BlockList();
for (const [address, bits, family] of LOCAL_NETWORKS) {
	local.addSubnet(address, bits, family);
}

/** @returns a list for `check`, of addresses and networks as the configuration has them. */
export function blockList(entries: readonly string[]): BlockList {
	const list = new BlockList();
	for (const entry of entries) {
		const [address = '', bits] = entry.split('/');
		const family = isIPv6(address) ? 'ipv6' : 'ipv4';
		list.addSubnet(address, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family);
	}
	return list;
}

/** @returns whether a list has an address; what is no address is in no list */
export function includesAddress(list: BlockList, address: string | undefined): boolean {
	const plain = plainAddress(address);
	return isIPv4(plain) ? list.check(plain, 'ipv4') : isIPv6(plain) && list.check(plain, 'ipv6');
}

/**
 * @returns whether the proxy must not connect to an address on the word of a redirect: loopback, link-local and the like, unless
 * they are allowed expressly
 */
export function isForbiddenTarget(address: string, allowed: BlockList): boolean {
	return includesAddress(local, address) && !includesAddress(allowed, address);
}
