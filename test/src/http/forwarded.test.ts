import { describe } from 'node:test';
import { forwardedAddress, forwardedAddresses, outermostValue, trustedHops } from '../../../src/http/forwarded.ts';
import { table } from '../../support/table.ts';

describe('forwardedAddress: RFC 7239 section 6, as hops write it', () => {
	table<string>(
		[
			['203.0.113.9', '203.0.113.9'],
			[' 203.0.113.9\t', '203.0.113.9'],
			// Azure's Application Gateway writes ports.
			['203.0.113.9:4000', '203.0.113.9'],
			['[2001:db8::7]:4000', '2001:db8::7'],
			['[2001:db8::7]', '2001:db8::7'],
			['2001:db8::7', '2001:db8::7'],
			['"[2001:db8::7]:4000"', '2001:db8::7'],
			['"203.0.113.9"', '203.0.113.9'],
			['203.0.113.9:_obfuscated', '203.0.113.9'],
			// One address, one form.
			['2001:0DB8:0000::0007', '2001:db8::7'],
			['fe80::1%eth0', 'fe80::1'],
			['[fe80::1%eth0]:4000', 'fe80::1'],
			['::ffff:203.0.113.9', '203.0.113.9'],
			['::ffff:cb00:7109', '203.0.113.9'],
			['0:0:0:0:0:ffff:cb00:7109', '203.0.113.9'],
			['[::ffff:203.0.113.9]:4000', '203.0.113.9'],
			// None, or nobody's.
			['unknown', undefined],
			['_hidden', undefined],
			['', undefined],
			['203.0.113', undefined],
			['203.0.113.9:', undefined],
			['203.0.113.9:port', undefined],
			['203.0.113.9:123456', undefined],
			[':4000', undefined],
			['[203.0.113.9]', undefined],
			['[2001:db8::7', undefined],
			['[]', undefined],
			['[2001:db8::7]4000', undefined],
			['2001:db8::7]:4000', undefined],
			['proxy.example', undefined],
			['"', undefined],
		],
		forwardedAddress,
	);
});

describe('forwardedAddresses: read from the end, as far as it can be', () => {
	table<string>(
		[
			['203.0.113.9', '203.0.113.9'],
			['203.0.113.9:1, [2001:db8::7]:2', '203.0.113.9, 2001:db8::7'],
			['203.0.113.9,198.51.100.1:2', '203.0.113.9, 198.51.100.1'],
			['evil, 203.0.113.9, 10.0.0.1', '203.0.113.9, 10.0.0.1'],
			['203.0.113.9, unknown, 10.0.0.1', '10.0.0.1'],
			['203.0.113.9, unknown', ''],
			[', ,203.0.113.9,', '203.0.113.9'],
			['', ''],
		],
		forwardedAddresses,
	);
});

describe('outermostValue: what the outermost trusted hop saw', () => {
	table<[header: string, hops: number | undefined]>(
		[
			[['https', 1], 'https'],
			[['https,http', 2], 'https'],
			[['https, http', 2], 'https'],
			// One hop, which only appends: what is before its own is the client's.
			[['evil, https', 1], 'https'],
			[['evil, https, http', 2], 'https'],
			// Some hops replace instead of appending.
			[['https', 3], 'https'],
			[['https,http', 3], 'https'],
			[['https,http', undefined], 'https'],
			[['', 1], ''],
			[[' , ', undefined], ''],
		],
		([header, hops]) => outermostValue(header, hops),
	);
});

describe('trustedHops', () => {
	table<[setting: boolean | string[], address: string | undefined]>(
		[
			[[true, '203.0.113.9'], true],
			[[false, '127.0.0.1'], false],
			[[['loopback'], '127.0.0.5'], true],
			[[['loopback'], '::1'], true],
			[[['loopback'], '::ffff:127.0.0.1'], true],
			[[['linklocal'], 'fe80::1%eth0'], true],
			[[['uniquelocal'], '172.31.0.1'], true],
			[[['uniquelocal'], 'fd00::1'], true],
			[[['uniquelocal'], '172.32.0.1'], false],
			[[['10.0.0.0/8', 'loopback'], '10.1.2.3'], true],
			[[['10.0.0.0/8', 'loopback'], '11.1.2.3'], false],
			[[['2001:db8::/32'], '2001:db8:1::1'], true],
			[[['loopback'], undefined], false],
			[[['loopback'], 'no address'], false],
		],
		([setting, address]) => trustedHops(setting)(address),
	);
});
