import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ZodError } from 'zod';
import { parseListed, parseReleases, parseRows, versionOf, versionsOf, type ReleaseRow } from '../../../src/balena/release.ts';
import { rowOf } from '../../support/release-row.ts';
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
