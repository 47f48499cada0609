import { describe } from 'node:test';
import { clientKey, plainAddress } from '../../../src/http/client-address.ts';
import { table } from '../../support/table.ts';

describe('clientKey: an IPv4 address, or an IPv6 network of 64 bits', () => {
	table<string | undefined>(
		[
			['192.0.2.7', '192.0.2.7'],
			['::ffff:192.0.2.7', '192.0.2.7'],
			['::FFFF:192.0.2.7', '192.0.2.7'],
			['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
			['2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
			['2001:db8:1:3::1', '2001:db8:1:3::/64'],
			['2001:DB8:1:2::1', '2001:db8:1:2::/64'],
			['2001:0db8:0001:0002::1', '2001:db8:1:2::/64'],
			['2001:db8::1', '2001:db8:0:0::/64'],
			['2001:db8:0:0:1::', '2001:db8:0:0::/64'],
			['::1', '0:0:0:0::/64'],
			['::', '0:0:0:0::/64'],
			['1::', '1:0:0:0::/64'],
			['fe80::1%eth0', 'fe80:0:0:0::/64'],
			['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
			['', ''],
			['no address', 'no address'],
			['no:address', 'no:address'],
			// A connection that was reset has none any more.
			[undefined, 'gone'],
		],
		clientKey,
	);
});

describe('plainAddress', () => {
	table<string | undefined>(
		[
			['192.0.2.7', '192.0.2.7'],
			['::ffff:192.0.2.7', '192.0.2.7'],
			['::ffff:c000:207', '::ffff:c000:207'],
			['::1', '::1'],
			['fe80::1%eth0', 'fe80::1'],
			[undefined, ''],
		],
		plainAddress,
	);
});
