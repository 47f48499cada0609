import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { plainAddress } from './client-address.ts';

/** Networks in which the machine itself, or its cloud's metadata service, answers: RFC 1122 section 3.2.1.3, RFC 3927, RFC 4291 sections 2.5.2 to 2.5.6. */
const LOCAL_NETWORKS: [address: string, bits: number, family: 'ipv4' | 'ipv6'][] = [
	['0.0.0.0', 8, 'ipv4'],
	['127.0.0.0', 8, 'ipv4'],
	['169.254.0.0', 16, 'ipv4'],
	['::', 127, 'ipv6'],
	['fe80::', 10, 'ipv6'],
	['fd00:ec2::', 32, 'ipv6'],
	// IPv4 in IPv6 clothes that `plainAddress` does not take off: compatible, NAT64, 6to4.
	['::', 96, 'ipv6'],
	['64:ff9b::', 96, 'ipv6'],
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

/** @returns whether the proxy must not connect to an address on the word of a redirect: loopback, link-local and the like, unless they are allowed expressly */
export function isForbiddenTarget(address: string, allowed: BlockList): boolean {
	return includesAddress(local, address) && !includesAddress(allowed, address);
}
