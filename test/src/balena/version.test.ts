import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compareVersions, formatVersion, parseSeries, parseVersion } from '../../../src/balena/version.ts';
import { table } from '../../support/table.ts';

describe('parseVersion', () => {
	const version = (major: number, minor: number, patch: number, prerelease = '') => ({ major, minor, patch, prerelease });
	table<string>(
		[
			['2.4.0', version(2, 4, 0)],
			['v2.4.0', version(2, 4, 0)],
			['3.0.0-rc.1', version(3, 0, 0, 'rc.1')],
			['2.4.1-1648554962021', version(2, 4, 1, '1648554962021')],
			['0.0.0--a.-', version(0, 0, 0, '-a.-')],
			// The API's numbers have 32 bits.
			['2147483647.0.0', version(2_147_483_647, 0, 0)],
			...['2147483648.0.0', '0.2147483648.0', '0.0.2147483648', '0.0.99999999999'].map((text) => [text, undefined] as const),
			// No version, or build metadata.
			...[
				'',
				'v',
				'2',
				'2.4',
				'2.4.0.1',
				'02.4.0',
				'2.4.00',
				'vv2.4.0',
				'2.4.0-',
				'2.4.0-a..b',
				'2.4.0+rev1',
				'2.4.0_rev1',
				' 2.4.0',
				'2.4.0\n',
			].map((text) => [text, undefined] as const),
		],
		parseVersion,
	);
});

describe('parseSeries', () => {
	table<string>(
		[
			['2', { major: 2 }],
			['v2', { major: 2 }],
			['2.4', { major: 2, minor: 4 }],
			['v0.0', { major: 0, minor: 0 }],
			['2147483647.2147483647', { major: 2_147_483_647, minor: 2_147_483_647 }],
			...['2147483648', '0.2147483648', '', 'v', '02', '2.04', '2.', '2.x', '-2', '2.4.0'].map((text) => [text, undefined] as const),
		],
		parseSeries,
	);
});

test('compareVersions has the order of https://semver.org, section 11', () => {
	const ordered = [
		'1.0.0-alpha',
		'1.0.0-alpha.1',
		'1.0.0-alpha.beta',
		'1.0.0-beta',
		'1.0.0-beta.2',
		'1.0.0-beta.11',
		'1.0.0-rc.1',
		'1.0.0',
		'1.0.1-0',
	];
	const shuffled = [...ordered].reverse().map((text) => parseVersion(text)!);
	assert.deepEqual(shuffled.sort(compareVersions).map(formatVersion), ordered);
});
