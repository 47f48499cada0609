import { describe } from 'node:test';
import { isDigest, isFallbackTag } from '../../../src/registry/digest.ts';
import { table } from '../../support/table.ts';

const HEX_64 = '0123456789abcdef'.repeat(4);
const HEX_128 = HEX_64.repeat(2);

describe('isDigest: the registered algorithms, with their own lengths', () => {
	table(
		[
			[`sha256:${HEX_64}`, true],
			[`sha512:${HEX_128}`, true],
			[`sha256:${HEX_64.slice(1)}`, false],
			[`sha256:${HEX_64}0`, false],
			[`sha256:${HEX_128}`, false],
			[`sha512:${HEX_64}`, false],
			[`sha512:${HEX_128}0`, false],
			[`sha256:${HEX_64.toUpperCase()}`, false],
			[`SHA256:${HEX_64}`, false],
			[`sha256-${HEX_64}`, false],
			[`sha256:${HEX_64.slice(1)}g`, false],
			[`sha256:${HEX_64}\n`, false],
			[` sha256:${HEX_64}`, false],
			[`xsha256:${HEX_64}`, false],
			[`md5:${'0'.repeat(32)}`, false],
			[`sha384:${'0'.repeat(96)}`, false],
			[`constructor:${HEX_64}`, false],
			[`:${HEX_64}`, false],
			['sha256:', false],
			['sha256', false],
			['latest', false],
			['', false],
		],
		isDigest,
	);
});

describe('isFallbackTag: tags that stand for digests', () => {
	table(
		[
			[`sha256-${HEX_64}`, true],
			[`sha256-${HEX_64}.sig`, true],
			[`sha256-${HEX_64}.att`, true],
			[`sha256-${HEX_64}.sbom`, true],
			[`sha256-${HEX_64}.x`, true],
			// A tag has 128 characters at the most; the spec cuts the digest to 64.
			[`sha512-${HEX_64}`, true],
			[`sha512-${HEX_128}`, true],
			[`sha512-${HEX_64}.sig`, true],
			[`sha256-${HEX_64}.`, false],
			[`sha256-${HEX_64}.${'a'.repeat(32)}`, true],
			[`sha256-${HEX_64}.${'a'.repeat(33)}`, false],
			[`sha256-${HEX_64}sig`, false],
			[`sha256-${HEX_64}-sig`, false],
			[`sha256-${HEX_64.slice(1)}`, false],
			[`sha256-${HEX_64}0`, false],
			[`sha512-${HEX_128}0`, false],
			[`sha512-${HEX_64.slice(1)}`, false],
			[`sha256-${HEX_64.toUpperCase()}`, false],
			[`sha384-${HEX_64}`, false],
			[`xsha256-${HEX_64}`, false],
			[`sha256-${HEX_64}.a/b`, false],
			['sha256', false],
			['sha256-', false],
			['latest', false],
			['2.4.0', false],
			['', false],
		],
		isFallbackTag,
	);
});
