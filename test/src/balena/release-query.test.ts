import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
	explanationQueries,
	highestReleasesQuery,
	newestDraftsQuery,
	prereleasesQuery,
	releaseOfDigestQuery,
	releaseQuery,
	versionsQuery,
} from '../../../src/balena/release-query.ts';
import { neighbourhoodQuery } from '../../../src/balena/neighbourhood.ts';
import { matchedRow } from '../../support/release-row.ts';
import { table } from '../../support/table.ts';

// What the queries find is tested against the API's own OData engine; here is what they ask.

const OF_FLEET = { $any: { $alias: 'a', $expr: { a: { slug: 'org/app' } } } };
const reference = (release?: string) => ({ slug: 'org/app', release });

describe('releaseQuery: all that a reference can mean, in one question', () => {
	const numbers = { semver_major: 2, semver_minor: 4, semver_patch: 0 };
	table<string | undefined>(
		[
			[undefined, { status: 'success', should_be_running_on__application: OF_FLEET }],
			[
				'2.4.0',
				{
					status: 'success',
					belongs_to__application: OF_FLEET,
					$or: [
						{ is_final: true, ...numbers, semver_prerelease: '' },
						{ ...numbers, raw_version: '2.4.0' },
					],
				},
			],
			[
				'abcdef0',
				{
					status: 'success',
					belongs_to__application: OF_FLEET,
					$or: [{ commit: 'abcdef0' }, { commit: { $startswith: 'abcdef0' } }],
				},
			],
			['2', { status: 'success', belongs_to__application: OF_FLEET, is_final: true, semver_major: 2 }],
			['2.4', { status: 'success', belongs_to__application: OF_FLEET, is_final: true, semver_major: 2, semver_minor: 4 }],
			// What can name nothing is not asked for.
			['nightly', undefined],
		],
		(text) => releaseQuery(reference(text))?.$filter,
	);
	test('a few rows, the highest version and revision first', () => {
		const { $top, $orderby } = releaseQuery(reference('2.4.0'))!;
		assert.deepEqual(
			{ $top, $orderby },
			{
				$top: 10,
				$orderby: [
					{ semver_major: 'desc' },
					{ semver_minor: 'desc' },
					{ semver_patch: 'desc' },
					{ semver_prerelease: 'asc' },
					{ revision: 'desc' },
					{ id: 'asc' },
				],
			},
		);
	});
});

describe('releaseQuery and the like: everything that is read of a release, and no more', () => {
	const FIELDS = [
		...['id', 'commit', 'semver_major', 'semver_minor', 'semver_patch', 'semver_prerelease'],
		...['raw_version', 'revision', 'is_final', 'status'],
	];
	const IMAGES = {
		release_image: {
			$top: 256,
			$select: ['id'],
			$orderby: [{ id: 'asc' }],
			$expand: {
				image: {
					$select: ['id', 'is_stored_at__image_location', 'content_hash'],
					$expand: { is_a_build_of__service: { $select: ['service_name'] } },
				},
			},
		},
	};
	table<Record<string, unknown>>(
		[
			[releaseQuery(reference('2.4.0'))!, { $select: FIELDS, $expand: IMAGES }],
			[releaseQuery(reference())!, { $select: FIELDS, $expand: IMAGES }],
			[highestReleasesQuery('org/app'), { $select: FIELDS, $expand: IMAGES }],
			[newestDraftsQuery('org/app'), { $select: FIELDS, $expand: IMAGES }],
			[releaseOfDigestQuery('org/app', 'sha256:0'), { $select: FIELDS, $expand: IMAGES }],
		],
		({ $select, $expand }) => ({ $select, $expand }),
	);
	test('of a fleet, for a sentence', () => {
		for (const { $select, $expand } of explanationQueries(reference('2.4.0'))) {
			assert.deepEqual([$select, $expand], [FIELDS, undefined]);
		}
	});
	test('the highest first, wherever only some are read', () => {
		const { $orderby } = releaseQuery(reference())!;
		const { $expand } = neighbourhoodQuery(reference()) as { $expand: { owns__release: { $orderby: unknown } } };
		const inFleet = [$expand.owns__release.$orderby];
		assert.deepEqual(
			[highestReleasesQuery('org/app').$orderby, releaseOfDigestQuery('org/app', 'sha256:0').$orderby, ...inFleet],
			Array.from({ length: 3 }, () => $orderby),
		);
	});
});

describe('explanationQueries: what has the name and cannot be pulled by it, and what is close', () => {
	const [PULLABLE, belongs_to__application] = [{ status: 'success', is_final: true }, OF_FLEET];
	const below = (...or: object[]) => ({ ...PULLABLE, semver_major: 2, $or: or });
	const numbers = { semver_major: 2, semver_minor: 4, semver_patch: 1 };
	table<string | undefined>(
		[
			[undefined, []],
			['nightly', []],
			[
				'2.4.1',
				[
					{
						belongs_to__application,
						$or: [
							{ ...numbers, semver_prerelease: '' },
							{ ...numbers, raw_version: '2.4.1' },
							below({ semver_minor: { $lt: 4 } }, { semver_minor: 4, semver_patch: { $le: 1 } }),
						],
					},
					{ belongs_to__application, ...below({ semver_minor: { $gt: 4 } }, { semver_minor: 4, semver_patch: { $gt: 1 } }) },
				],
			],
			[
				'2.4',
				[
					{
						belongs_to__application,
						$or: [
							{ semver_major: 2, semver_minor: 4 },
							{ ...PULLABLE, semver_major: 2, semver_minor: { $lt: 4 } },
						],
					},
					{ belongs_to__application, ...PULLABLE, semver_major: 2, semver_minor: { $gt: 4 } },
				],
			],
			['2', [{ belongs_to__application, semver_major: 2 }]],
			['abcdef0', [{ belongs_to__application, $or: [{ commit: 'abcdef0' }, { commit: { $startswith: 'abcdef0' } }] }]],
		],
		(text) => explanationQueries(reference(text)).map(({ $filter }) => $filter),
	);
	test('a few rows each', () =>
		assert.deepEqual(
			explanationQueries(reference('2.4.1')).map(({ $top }) => $top),
			[10, 1],
		));
});

describe('prereleasesQuery: only where the first query has cut off what it could not order', () => {
	const prereleases = Array.from({ length: 10 }, (_, i) => matchedRow(`2.4.0-rc.${i}`));
	table<[text: string | undefined, candidates: ReturnType<typeof matchedRow>[]]>(
		[
			[
				['2.4', prereleases],
				{ status: 'success', is_final: true, belongs_to__application: OF_FLEET, semver_major: 2, semver_minor: 4, semver_patch: 0 },
			],
			[['2.4', prereleases.slice(1)], undefined],
			[['2.4', [matchedRow('2.4.0'), ...prereleases]], undefined],
			[['2', [...prereleases.slice(0, 9), matchedRow('2.3.9')]], undefined],
			[['2.4.0', prereleases], undefined],
			[[undefined, prereleases], undefined],
		],
		([text, candidates]) => prereleasesQuery(reference(text), candidates)?.$filter,
	);
});

describe('the other queries', () => {
	test('versionsQuery: the final versions of one fleet', () => {
		const { $filter, $top, $expand } = versionsQuery('org/app') as {
			$filter: unknown;
			$top: number;
			$expand: { owns__release: { $filter: unknown; $select: unknown; $top: number; $orderby: unknown } };
		};
		assert.deepEqual({ $filter, $top }, { $filter: { slug: 'org/app' }, $top: 1 });
		assert.deepEqual($expand.owns__release.$filter, { status: 'success', is_final: true });
		assert.deepEqual($expand.owns__release.$orderby, [{ id: 'asc' }]);
		assert.deepEqual($expand.owns__release.$select, [
			'id',
			'semver_major',
			'semver_minor',
			'semver_patch',
			'semver_prerelease',
			'raw_version',
			'revision',
		]);
		assert.equal($expand.owns__release.$top, 2000);
		const { $expand: next } = versionsQuery('org/app', 41) as { $expand: { owns__release: { $filter: unknown } } };
		assert.deepEqual(next.owns__release.$filter, { status: 'success', is_final: true, id: { $gt: 41 } });
	});
	test('highestReleasesQuery: a few final releases', () => {
		const { $filter, $top } = highestReleasesQuery('org/app');
		assert.deepEqual({ $filter, $top }, { $filter: { status: 'success', is_final: true, belongs_to__application: OF_FLEET }, $top: 20 });
	});
	test('newestDraftsQuery: a few drafts, of which the version says nothing about their age', () => {
		const { $filter, $top, $orderby } = newestDraftsQuery('org/app');
		assert.deepEqual(
			{ $filter, $top, $orderby },
			{ $filter: { status: 'success', is_final: false, belongs_to__application: OF_FLEET }, $top: 20, $orderby: [{ id: 'desc' }] },
		);
	});
	test('releaseOfDigestQuery: the release that has an image', () => {
		const { $filter, $top } = releaseOfDigestQuery('org/app', 'sha256:0');
		assert.deepEqual(
			{ $filter, $top },
			{
				$filter: {
					status: 'success',
					belongs_to__application: OF_FLEET,
					release_image: {
						$any: { $alias: 'ri', $expr: { ri: { image: { $any: { $alias: 'i', $expr: { i: { content_hash: 'sha256:0' } } } } } } },
					},
				},
				$top: 1,
			},
		);
	});
});
