import { describe } from 'node:test';
import { blockList, includesAddress, isForbiddenTarget } from '../../../src/http/networks.ts';
import { table } from '../../support/table.ts';

describe('includesAddress: 192.0.2.7, 10.0.0.0/8, ::1 and 2001:db8::/32', () => {
	const list = blockList(['192.0.2.7', '10.0.0.0/8', '::1', '2001:db8::/32']);
	table<string | undefined>(
		[
			['192.0.2.7', true],
			['192.0.2.8', false],
			['10.255.0.1', true],
			['11.0.0.1', false],
			['::ffff:10.0.0.1', true],
			['::ffff:11.0.0.1', false],
			['::1', true],
			['::2', false],
			['2001:db8:ffff::1', true],
			['2001:db9::1', false],
			['2001:db8::1%eth0', true],
			['localhost', false],
			['10.0.0', false],
			['', false],
			[undefined, false],
		],
		(address) => includesAddress(list, address),
	);
});

describe('isForbiddenTarget: where a redirect must not lead this proxy', () => {
	table<string>(
		[
			['127.0.0.1', true],
			['127.255.255.254', true],
			['0.0.0.0', true],
			['169.254.169.254', true],
			['::1', true],
			['::', true],
			['fe80::1', true],
			['fe80::1%eth0', true],
			['fd00:ec2::254', true],
			// The clouds' own: Alibaba's, Azure's, Oracle's, Google's.
			['100.100.100.200', true],
			['100.100.100.201', false],
			['168.63.129.16', true],
			['192.0.0.192', true],
			['fd20:ce::254', true],
			// Oracle's, Akamai's, Scaleway's and OpenStack's, and what is beside them: a company's own.
			['fd00:c1::a9fe:a9fe', true],
			['fd00:c1::a9fe:a9ff', false],
			['fd00:a9fe:a9fe::1', true],
			['fd00:a9fe:a9fe::2', false],
			['fd00:42::42', true],
			['fd00:42::43', false],
			['fe80::a9fe:a9fe', true],
			// Tencent's, DigitalOcean's, Alibaba's second, and the end of the network that they are in.
			['169.254.0.23', true],
			['169.254.169.253', true],
			['169.254.255.255', true],
			['169.255.0.0', false],
			// Site-local, multicast and broadcast.
			['fec0::1', true],
			['feff:ffff::1', true],
			['ff02::1', true],
			['ff0e::1', true],
			['224.0.0.1', true],
			['239.255.255.250', true],
			['255.255.255.255', true],
			// IPv4 as IPv6.
			['::ffff:100.100.100.200', true],
			['::ffff:168.63.129.16', true],
			['::FFFF:168.63.129.16', true],
			['::ffff:a83f:8110', true],
			['0:0:0:0:0:ffff:a9fe:a9fe', true],
			['::ffff:0:169.254.169.254', true],
			['::ffff:0:a9fe:a9fe', true],
			['::FFFF:0:100.100.100.200', true],
			['::ffff:0:a83f:8110', true],
			['::ffff:6464:64c8', true],
			['::ffff:c000:c0', true],
			['64:ff9b::100.100.100.200', true],
			['64:ff9b:1::a83f:8110', true],
			['64:ff9b:1:abcd:a9:fea9:fe00:0', true],
			['2002:6464:64c8::', true],
			['::a9fe:a9fe', true],
			['febf:ffff::1', true],
			['ff01::1', true],
			['ffff:ffff::', true],
			['64:ff9b::a9fe:a9fe', true],
			['64:ff9b:1::169.254.169.254', true],
			['64:ff9b:1:ffff::1', true],
			['64:ff9b:2::1', false],
			['2001::a9fe:a9fe', true],
			['2002:a9fe:a9fe::', true],
			['::ffff:127.0.0.1', true],
			['::ffff:7f00:1', true],
			['::ffff:169.254.169.254', true],
			['::ffff:a9fe:a9fe', true],
			['::127.0.0.1', true],
			['64:ff9b::169.254.169.254', true],
			['2002:7f00:1::', true],
			// Public ones, and private ones, where a company's object storage is.
			['192.0.2.7', false],
			['10.0.0.1', false],
			['192.168.0.1', false],
			['2001:db8::1', false],
			['fd00::1', false],
			['::ffff:192.0.2.7', false],
		],
		(address) => isForbiddenTarget(address, blockList([])),
	);
	table<[address: string, allowed: string]>(
		[
			[['127.0.0.1', '127.0.0.1'], false],
			[['127.0.0.2', '127.0.0.1'], true],
			[['169.254.7.7', '169.254.7.0/24'], false],
			[['::ffff:127.0.0.1', '127.0.0.0/8'], false],
			[['::1', '127.0.0.0/8'], true],
		],
		([address, allowed]) => isForbiddenTarget(address, blockList([allowed])),
	);
});
