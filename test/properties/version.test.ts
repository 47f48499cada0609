import fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import semver from 'semver';
import { compareVersions, formatVersion, parseVersion } from '../../src/balena/version.ts';
import { anyText, nearly } from './arbitraries.ts';
import { check } from './check.ts';

const number = fc.oneof(fc.nat(2), fc.nat(12), fc.nat(2 ** 31 - 1));
const identifier = fc.oneof(
	fc.nat(12).map(String),
	fc.constantFrom('a', 'b', 'rc', 'RC', 'alpha', '-', '--', '1a', '0a', 'rc-1', '10', '9'),
	fc.string({ unit: fc.constantFrom(...'019aAzZ-'), minLength: 1, maxLength: 4 }).filter((text) => !/^0\d+$/.test(text)),
);
const version = fc
	.tuple(number, number, number, fc.array(identifier, { maxLength: 3 }))
	.map(([major, minor, patch, prerelease]) => `${major}.${minor}.${patch}${prerelease.length === 0 ? '' : `-${prerelease.join('.')}`}`);
const similar = fc
	.tuple(fc.nat(1), fc.nat(1), fc.array(identifier, { maxLength: 3 }))
	.map(([minor, patch, prerelease]) => `1.${minor}.${patch}${prerelease.length === 0 ? '' : `-${prerelease.join('.')}`}`);

describe('versions', () => {
	check(
		'have the order that the library semver gives them',
		fc.property(fc.oneof(similar, version), fc.oneof(similar, version), (a, b) => {
			assert.equal(Math.sign(compareVersions(parseVersion(a)!, parseVersion(b)!)), semver.compare(a, b), `${a} ${b}`);
		}),
	);
	check(
		'are read by the same grammar, and written as they were',
		fc.property(nearly(version), (text) => {
			const read = parseVersion(text);
			const other = semver.parse(text);
			assert.ok(read === undefined || formatVersion(read) === text.replace(/^v/, ''));
			// The library trims, and takes build metadata; numbers with a leading zero are no prerelease to it, but the API's affair.
			if (
				other !== null &&
				other.build.length === 0 &&
				text.trim() === text &&
				!text.startsWith('=') &&
				Math.max(other.major, other.minor, other.patch) < 2 ** 31
			) {
				assert.equal(read && formatVersion(read), other.version);
			}
		}),
	);
	check(
		'are never made of anything else',
		fc.property(anyText, (text) => assert.ok(parseVersion(text) === undefined || /^v?\d+\.\d+\.\d+/.test(text))),
	);
});
