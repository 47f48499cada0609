import fc from 'fast-check';
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe } from 'node:test';
import { clientKey, plainAddress } from '../../src/http/client-address.ts';
import { blockList, includesAddress, isForbiddenTarget } from '../../src/http/networks.ts';
import { anyText, nearly } from './arbitraries.ts';
import { check } from './check.ts';

const groups = fc.array(fc.oneof(fc.constantFrom(0, 0, 1), fc.nat(0xffff)), { minLength: 8, maxLength: 8 });
// Neither compatible nor mapped IPv4, whose keys are those of IPv4.
const groupsOfIpv6 = groups.filter((parts) => parts.slice(0, 5).some((part) => part !== 0));

/** An address in several notations. */
function notations(parts: number[]): string[] {
	const long = parts.map((part) => part.toString(16).padStart(4, '0')).join(':');
	const short = new URL(`http://[${long}]`).hostname.slice(1, -1);
	return [long, parts.map((part) => part.toString(16)).join(':'), short, short.toUpperCase(), `${short}%eth0`];
}

describe('clientKey', () => {
	check(
		'is one for all notations of an address, and for its whole network',
		fc.property(groupsOfIpv6, groups, (parts, others) => {
			const network = [...parts.slice(0, 4), ...others.slice(4)];
			fc.pre(network.slice(0, 5).some((part) => part !== 0));
			const keys = new Set([...notations(parts), ...notations(network)].map(clientKey));
			assert.equal(keys.size, 1);
		}),
	);
	check(
		'is another for another network',
		fc.property(groupsOfIpv6, groupsOfIpv6, (a, b) =>
			assert.equal(clientKey(notations(a)[2]!) === clientKey(notations(b)[2]!), a.slice(0, 4).join() === b.slice(0, 4).join()),
		),
	);
	check(
		'is the address itself for IPv4, in either notation',
		fc.property(fc.ipV4(), (address) => assert.deepEqual([clientKey(address), clientKey(`::ffff:${address}`)], [address, address])),
	);
	check(
		'is something for anything',
		fc.property(fc.oneof(anyText, nearly(fc.ipV6())), (text) => assert.equal(typeof clientKey(text), 'string')),
	);
});

describe('networks', () => {
	const list = blockList(['10.0.0.0/8', '2001:db8::/32']);
	check(
		'hold an address whatever its notation',
		fc.property(fc.ipV4(), groups, (ipv4, parts) => {
			assert.equal(includesAddress(list, ipv4), ipv4.startsWith('10.'));
			assert.equal(includesAddress(list, `::ffff:${ipv4}`), ipv4.startsWith('10.'));
			const answers = new Set(notations(parts).map((text) => includesAddress(list, text)));
			assert.equal(answers.size, 1);
		}),
	);
	check(
		'hold nothing that is no address',
		fc.property(nearly(fc.oneof(fc.ipV4(), fc.ipV6())), (text) =>
			assert.ok(isIP(plainAddress(text)) !== 0 || !includesAddress(list, text)),
		),
	);
	check(
		'of this machine are not reached in IPv6 notation either',
		fc.property(fc.ipV4(), (address) => {
			const bytes = address.split('.').map(Number);
			const hex = [0, 2].map((i) => (bytes[i]! * 256 + bytes[i + 1]!).toString(16));
			const isForbidden =
				[0, 127].includes(bytes[0]!) ||
				(bytes[0]! >= 224 && bytes[0]! < 240) ||
				(bytes[0] === 169 && bytes[1] === 254) ||
				['100.100.100.200', '168.63.129.16', '192.0.0.192', '255.255.255.255'].includes(address);
			for (const notation of [address, `::ffff:${address}`, `::ffff:${hex.join(':')}`]) {
				assert.equal(isForbiddenTarget(notation, blockList([])), isForbidden, notation);
			}
			assert.ok(isForbiddenTarget(`64:ff9b::${address}`, blockList([])));
			assert.ok(isForbiddenTarget(`2002:${hex.join(':')}::1`, blockList([])));
		}),
	);
});
