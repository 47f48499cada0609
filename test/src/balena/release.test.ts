import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ZodError } from 'zod';
import {
	matchRelease,
	parseReleases,
	parseRows,
	parseListed,
	versionsOf,
	versionOf,
	type MatchedRelease,
	type ReleaseRow,
} from '../../../src/balena/release.ts';
import { matchedRow, rowOf } from '../../support/release-row.ts';
import { table } from '../../support/table.ts';

const HASH = '0123456789abcdef'.repeat(2);
const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

/** A row as the API sends it. */
const row = {
	id: 1,
	commit: 'abc',
	semver_major: 2,
	semver_minor: 4,
	semver_patch: 0,
	semver_prerelease: '',
	revision: 1,
	raw_version: '2.4.0+rev1',
	is_final: true,
	status: 'success',
	release_image: [],
};
const imageRow = {
	id: 1,
	is_stored_at__image_location: `registry2.balena-cloud.com/v2/${HASH}`,
	content_hash: DIGEST,
	is_a_build_of__service: [{ service_name: 'main' }],
};
const withImage = (change: object): unknown[] => [{ ...row, release_image: [{ id: 1, image: [{ ...imageRow, ...change }] }] }];

describe('parseReleases: rows of the API', () => {
	const parsed = {
		commit: 'abc',
		version: { major: 2, minor: 4, patch: 0, prerelease: '' },
		rawVersion: '2.4.0+rev1',
		revision: 1,
		isFinal: true,
		status: 'success',
		images: [],
	};
	table<unknown>(
		[
			[[], []],
			[[row], [parsed]],
			[
				[row, { ...row, commit: 'def' }],
				[parsed, { ...parsed, commit: 'def' }],
			],
			[[{ ...row, commit: 'x'.repeat(1000) }], [{ ...parsed, commit: 'x'.repeat(1000) }]],
			// Releases from before versions.
			[
				[
					{
						...row,
						raw_version: null,
						semver_major: null,
						semver_minor: null,
						semver_patch: null,
						semver_prerelease: null,
						revision: null,
						is_final: null,
					},
				],
				[{ commit: 'abc', rawVersion: '', isFinal: false, status: 'success', images: [] }],
			],
			[[{ ...row, raw_version: null }], [{ ...parsed, rawVersion: '2.4.0' }]],
			[withImage({}), [{ ...parsed, images: [{ service: 'main', repository: `v2/${HASH}`, digest: DIGEST }] }]],
			// The host in the location is not believed.
			[
				withImage({ is_stored_at__image_location: `elsewhere:5000/v2/${HASH}` }),
				[{ ...parsed, images: [{ service: 'main', repository: `v2/${HASH}`, digest: DIGEST }] }],
			],
			// Anything but a repository of the expected form is left out.
			[withImage({ is_stored_at__image_location: `registry2/v2/${HASH}/../../x` }), [parsed]],
			[withImage({ is_stored_at__image_location: 'registry2/org/app' }), [parsed]],
			[withImage({ is_stored_at__image_location: `https://registry2/v2/${HASH}` }), [parsed]],
			[withImage({ is_stored_at__image_location: '' }), [parsed]],
			[withImage({ content_hash: null }), [{ ...parsed, images: [{ service: 'main', repository: `v2/${HASH}` }] }]],
			[withImage({ content_hash: '../x' }), [{ ...parsed, images: [{ service: 'main', repository: `v2/${HASH}` }] }]],
			[withImage({ is_a_build_of__service: [] }), [{ ...parsed, images: [{ service: '', repository: `v2/${HASH}`, digest: DIGEST }] }]],
		],
		parseReleases,
	);
});

describe('parseReleases: answers of another form', () => {
	table<unknown>(
		[
			[null, 'ZodError'],
			['<html>', 'ZodError'],
			[{ d: [] }, 'ZodError'],
			[[null], 'ZodError'],
			[[{ ...row, commit: 7 }], 'ZodError'],
			[[{ ...row, status: undefined }], 'ZodError'],
			[[{ ...row, commit: 'x'.repeat(1001) }], 'ZodError'],
			[[{ ...row, release_image: undefined }], 'ZodError'],
			[withImage({ is_stored_at__image_location: null }), 'ZodError'],
		],
		(rows) => {
			try {
				return parseReleases(rows);
			} catch (error) {
				return error instanceof ZodError ? 'ZodError' : error;
			}
		},
	);
});

describe('parseRows: releases without images', () => {
	const { release_image: _, ...release } = row;
	table<unknown>(
		[
			[[], []],
			[[release], [rowOf('2.4.0+rev1', { commit: 'abc' })]],
		],
		parseRows,
	);
	test('throws where the answer has another form', () => assert.throws(() => parseRows([{}]), ZodError));
});

describe('versionsOf', () => {
	const listed = { ...row, release_image: 1 };
	table<unknown>(
		[
			[[], undefined],
			[[{ id: 1, owns__release: [] }], []],
			[
				[
					{
						id: 1,
						owns__release: [
							listed,
							{ ...listed, semver_patch: 1, semver_prerelease: 'rc.1' },
							{ ...listed, id: 2 },
							{ ...listed, semver_major: null },
							// Cannot be pulled by its version alone, which is that of the highest revision.
							{ ...listed, semver_patch: 2, release_image: 2 },
							{ ...listed, semver_patch: 3, release_image: 0 },
							{ ...listed, semver_patch: 4, revision: 0 },
							{ ...listed, semver_patch: 4, revision: 1, release_image: 2 },
							{ ...listed, semver_patch: 5, revision: 0, release_image: 2 },
							{ ...listed, semver_patch: 5, revision: 1 },
						],
					},
				],
				['2.4.5', '2.4.1-rc.1', '2.4.0'],
			],
		],
		(rows) => {
			const read = parseListed(rows);
			return read && versionsOf(read);
		},
	);
	test('throws where the answer has another form', () => assert.throws(() => parseListed([{ owns__release: [null] }]), ZodError));
});

describe('versionOf: what a person calls a release', () => {
	const release = rowOf('2.4.0+rev1', { commit: 'abc' });
	table<ReleaseRow>(
		[
			[release, '2.4.0+rev1'],
			[{ ...release, rawVersion: '' }, 'abc'],
		],
		versionOf,
	);
});

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
