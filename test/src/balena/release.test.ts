import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ZodError } from 'zod';
import { parseRelease } from '../../../src/balena/reference.ts';
import {
	matchRelease,
	parseFleet,
	parseReleases,
	parseVersions,
	versionOf,
	type MatchedRelease,
	type ReleaseRow,
} from '../../../src/balena/release.ts';
import { table } from '../../support/table.ts';

const HASH = '0123456789abcdef'.repeat(2);
const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

/** A row as the API sends it. */
const row = {
	id: 1,
	commit: 'abc',
	semver: '2.4.0',
	semver_major: 2,
	semver_minor: 4,
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
		semver: '2.4.0',
		rawVersion: '2.4.0+rev1',
		isFinal: true,
		status: 'success',
		major: 2,
		minor: 4,
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
				[{ ...row, semver: null, raw_version: null, semver_major: null, semver_minor: null, is_final: null }],
				[{ commit: 'abc', semver: '', rawVersion: '', isFinal: false, status: 'success', images: [] }],
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

describe('parseFleet', () => {
	const release = { id: 1, commit: 'abc', semver: '2.4.0', raw_version: '2.4.0', is_final: true, status: 'success' };
	const parsed = { commit: 'abc', semver: '2.4.0', rawVersion: '2.4.0', isFinal: true, status: 'success' };
	table<unknown>(
		[
			[[], undefined],
			[[{ id: 1, should_be_running__release: [], owns__release: [] }], { releases: [] }],
			[[{ id: 1, should_be_running__release: null, owns__release: [release] }], { releases: [parsed] }],
			[
				[{ id: 1, should_be_running__release: [release], owns__release: [release, release] }],
				{ tracked: parsed, releases: [parsed, parsed] },
			],
		],
		parseFleet,
	);
	test('throws where the answer has another form', () => assert.throws(() => parseFleet([{}]), ZodError));
});

describe('parseVersions', () => {
	table<unknown>(
		[
			[[], undefined],
			[[{ id: 1, owns__release: [] }], []],
			[[{ id: 1, owns__release: [{ semver: '2.4.0' }, { semver: '2.3.8' }, { semver: '2.3.8' }] }], ['2.4.0', '2.3.8']],
		],
		parseVersions,
	);
	test('throws where the answer has another form', () => assert.throws(() => parseVersions([{ owns__release: [{}] }]), ZodError));
});

describe('versionOf: what a person calls a release', () => {
	const release: ReleaseRow = { commit: 'abc', semver: '2.4.0', rawVersion: '2.4.0+rev1', isFinal: true, status: 'success' };
	table<ReleaseRow>(
		[
			[release, '2.4.0+rev1'],
			[{ ...release, rawVersion: '' }, 'abc'],
		],
		versionOf,
	);
});

/** A candidate from a version: "2.3.8+rev2", "2.4.1-1648554962021" for a draft, with a commit where it matters. */
function candidate(rawVersion: string, commit = `c0ffee${rawVersion}`): MatchedRelease {
	const semver = rawVersion.split(/[+-]/)[0]!;
	const [major, minor] = semver.split('.').map(Number);
	return { commit, semver, rawVersion, isFinal: !rawVersion.includes('-'), status: 'success', major, minor, images: [] };
}

/** The release that a text means among some, by raw version; or all that it may mean. */
const match = ([text, candidates]: [string | undefined, MatchedRelease[]]): unknown => {
	const result = matchRelease(candidates, text === undefined ? undefined : parseRelease(text));
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
const A = candidate('3.0.0', 'abcdef0123');
const B = candidate('2.0.0', 'abcdef0999');
const C = candidate('1.0.0', 'abcdef0');

test('matchRelease says that there is none', () => {
	for (const release of [undefined, parseRelease('2.4.0'), parseRelease('2'), parseRelease('abcdef0')]) {
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
			// A leading "v" that the version does not have; where it does, that one.
			[['v2.4.0', FLEET], '2.4.0'],
			[['v2.3.8', FLEET], '2.3.8+rev2'],
			[['v2.4.1-1648554962021', FLEET], '2.4.1-1648554962021'],
			[['v2.4.0', [candidate('2.4.0'), candidate('v2.4.0')]], 'v2.4.0'],
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
		],
		match,
	);
});
