import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { matchRelease, type MatchedRelease } from '../../../src/balena/release.ts';
import { matchedRow } from '../../support/release-row.ts';
import { table } from '../../support/table.ts';

const candidate = (rawVersion: string, commit?: string): MatchedRelease => matchedRow(rawVersion, commit === undefined ? {} : { commit });

/** The release that a text means among some, by raw version; or all that it may mean. */
const match = ([text, candidates]: [string | undefined, MatchedRelease[]]): unknown => {
	const result = matchRelease(candidates, text);
	return result.kind === 'one'
		? result.release.rawVersion
		: result.kind === 'ambiguous'
			? result.releases.map((release) => release.rawVersion)
			: undefined;
};

// Highest version and revision first, as the query sorts them.
const FLEET = [
	candidate('2.10.0'),
	candidate('2.4.1-1648554962021'),
	candidate('2.4.0'),
	candidate('2.3.8+rev2'),
	candidate('2.3.8+rev1'),
	candidate('2.3.8'),
	candidate('1.9.9'),
];
// As the API sorts them, by text and with prereleases in whatever order.
const VERSIONS = [
	'3.0.0-rc.1',
	'3.0.0',
	'3.1.0+build5',
	'4.0.0-beta.2.1795641837460',
	'4.0.0-beta.2',
	'5.0.0',
	'5.0.0+rev1',
	'5.1.0+dev',
	'5.2.0-rc.9',
	'5.2.0-rc.10',
].map((text) => candidate(text));
const A = candidate('3.0.0', 'abcdef0123');
const B = candidate('2.0.0', 'abcdef0999');
const C = candidate('1.0.0', 'abcdef0');

test('matchRelease says that there is none', () => {
	for (const release of [undefined, '2.4.0', '2', 'abcdef0', 'nightly']) {
		assert.deepEqual(matchRelease([], release), { kind: 'none' });
	}
});

describe('matchRelease: exact names, then abbreviations', () => {
	table<[text: string | undefined, candidates: MatchedRelease[]]>(
		[
			// The tracked release, of which there is one or none.
			[[undefined, [candidate('2.4.0')]], '2.4.0'],
			[[undefined, []], undefined],
			// A final version: the highest revision.
			[['2.4.0', FLEET], '2.4.0'],
			[['2.3.8', FLEET], '2.3.8+rev2'],
			// A draft by its whole version only.
			[['2.4.1-1648554962021', FLEET], '2.4.1-1648554962021'],
			[['2.4.1', FLEET], undefined],
			[['9.9.9', FLEET], undefined],
			// A leading "v", which no version has.
			[['v2.4.0', FLEET], '2.4.0'],
			[['v2.3.8', FLEET], '2.3.8+rev2'],
			[['v2.4.1-1648554962021', FLEET], '2.4.1-1648554962021'],
			[['vv2.4.0', FLEET], undefined],
			// A commit, whole, though others begin with it.
			[['abcdef0', [A, B, C]], '1.0.0'],
			[['abcdef0123', [A, B, C]], '3.0.0'],
			// The beginning of a commit: of one, or of several.
			[['abcdef01', [A, B, C]], '3.0.0'],
			[
				['abcdef0', [A, B]],
				['3.0.0', '2.0.0'],
			],
			[['abcdef', [A, B]], undefined],
			[['bcdef01', [A, B]], undefined],
			// Several releases of one commit are no ambiguity: the highest.
			[['abcdef01', [candidate('3.0.1', 'abcdef0123'), A]], '3.0.1'],
			// Series: the highest final one.
			[['2', FLEET], '2.10.0'],
			[['2.4', FLEET], '2.4.0'],
			[['2.3', FLEET], '2.3.8+rev2'],
			[['v2', FLEET], '2.10.0'],
			[['v2.3', FLEET], '2.3.8+rev2'],
			[['1', FLEET], '1.9.9'],
			[['2.5', FLEET], undefined],
			[['3', FLEET], undefined],
			[['2', [candidate('2.4.1-1648554962021')]], undefined],
			// What matches exactly beats what is only meant.
			[['1234567', [candidate('1234567.0.0', 'fedcba9'), candidate('1.0.0', '1234567abc')]], '1.0.0'],
			[['1234567', [candidate('1.0.0', '1234567abc'), candidate('2.0.0', '1234567')]], '2.0.0'],
			[['1234567', [candidate('1234567.0.0', 'fedcba9')]], '1234567.0.0'],
			[['2.4.0', [candidate('2.4.0-1'), candidate('2.4.0')]], '2.4.0'],
			[['anything', FLEET], undefined],
			// "+" can be written in neither a name nor a tag.
			[['2.3.8-rev1', FLEET], '2.3.8+rev1'],
			[['2.3.8_rev1', FLEET], '2.3.8+rev1'],
			[['v2.3.8-rev2', FLEET], '2.3.8+rev2'],
			[['2.3.8-rev3', FLEET], undefined],
			[['2.3.8-rev1', [...FLEET, candidate('2.3.8-rev1')]], '2.3.8-rev1'],
			[['3.1.0-build5', VERSIONS], '3.1.0+build5'],
			[['4.0.0-beta.2.1795641837460', VERSIONS], '4.0.0-beta.2.1795641837460'],
			// Build metadata is no part of a version's name, and no reason to be the lower one.
			[['3.1.0', VERSIONS], '3.1.0+build5'],
			[['5.0.0', VERSIONS], '5.0.0+rev1'],
			[['5.0', VERSIONS], '5.0.0+rev1'],
			[['5.1.0', VERSIONS], '5.1.0+dev'],
			[['5.1.0', [...VERSIONS, candidate('5.1.0')]], '5.1.0'],
			// The order is semver's: not of texts, and without a prerelease is higher.
			[['3.0', VERSIONS], '3.0.0'],
			[['3.0.0-rc.1', VERSIONS], '3.0.0-rc.1'],
			[['3', VERSIONS], '3.1.0+build5'],
			[['4.0.0-beta.2', VERSIONS], '4.0.0-beta.2'],
			[['4', VERSIONS], '4.0.0-beta.2'],
			[['5.2', VERSIONS], '5.2.0-rc.10'],
			[['5', VERSIONS], '5.2.0-rc.10'],
		],
		match,
	);
});
