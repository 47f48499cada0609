import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { formsOf, RELEASE_FORMS, typable } from '../../../src/balena/release-forms.ts';
import { rowOf } from '../../support/release-row.ts';
import { table } from '../../support/table.ts';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';

/** `2.4.0` as the API is asked for it. */
const numbers = (semver_major: number, semver_minor: number, semver_patch: number) => ({ semver_major, semver_minor, semver_patch });

describe('formsOf: what is asked for a text', () => {
	table<string>(
		[
			[
				'2.4.0',
				[
					{ ...numbers(2, 4, 0), semver_prerelease: '' },
					{ ...numbers(2, 4, 0), raw_version: '2.4.0' },
				],
			],
			[
				'v2.4.0',
				[
					{ ...numbers(2, 4, 0), semver_prerelease: '' },
					{ ...numbers(2, 4, 0), raw_version: '2.4.0' },
				],
			],
			[
				'2.3.8-rev1',
				[
					{ ...numbers(2, 3, 8), semver_prerelease: 'rev1' },
					{ ...numbers(2, 3, 8), raw_version: '2.3.8-rev1' },
					{ ...numbers(2, 3, 8), raw_version: { $in: ['2.3.8+rev1'] } },
				],
			],
			['2.3.8_rev1', [{ ...numbers(2, 3, 8), raw_version: { $in: ['2.3.8+rev1'] } }]],
			['v2.3.8_rev1', [{ ...numbers(2, 3, 8), raw_version: { $in: ['2.3.8+rev1'] } }]],
			['4.0.0-beta.2_rev1', [{ ...numbers(4, 0, 0), raw_version: { $in: ['4.0.0-beta.2+rev1'] } }]],
			[
				'4.0.0-beta.2-rev1',
				[
					{ ...numbers(4, 0, 0), semver_prerelease: 'beta.2-rev1' },
					{ ...numbers(4, 0, 0), raw_version: '4.0.0-beta.2-rev1' },
					{ ...numbers(4, 0, 0), raw_version: { $in: ['4.0.0+beta.2-rev1', '4.0.0-beta.2+rev1'] } },
				],
			],
			['2', [{ semver_major: 2 }]],
			['v2.4', [{ semver_major: 2, semver_minor: 4 }]],
			['abcdef0', [{ commit: 'abcdef0' }, { commit: { $startswith: 'abcdef0' } }]],
			[COMMIT, [{ commit: COMMIT }, { commit: { $startswith: COMMIT } }]],
			['a'.repeat(64), [{ commit: 'a'.repeat(64) }, { commit: { $startswith: 'a'.repeat(64) } }]],
			// Seven digits can be both.
			['2023101', [{ commit: '2023101' }, { commit: { $startswith: '2023101' } }, { semver_major: 2_023_101 }]],
			// Nothing that a release can be called: nobody is asked.
			...[
				'',
				'v',
				'nightly',
				'abcdef',
				'a'.repeat(65),
				'ABCDEF0',
				'02',
				'2.04',
				'2.',
				'2.x',
				'-2',
				'2.4.0.1',
				'vv2.4.0',
				'2.3.8+rev1',
				'2147483648.0.0',
				'2.3.8__rev1',
			].map((text) => [text, []] as const),
		],
		(text) => formsOf(text).map(({ filter }) => filter),
	);
});

test('docs/request-handling.md lists the forms, in their order', () => {
	const docs = readFileSync(new URL('../../../docs/request-handling.md', import.meta.url), 'utf8');
	const [, list = ''] = /the first form that matches a successful release wins:\n\n((?:\d+\. .*\n)+)/.exec(docs) ?? [];
	assert.deepEqual(
		list.trim().split('\n'),
		RELEASE_FORMS.map(({ name }, i) => `${i + 1}. ${name}`),
	);
});

describe('typable: what a person can type for a release', () => {
	table<[rawVersion: string, isHighest: boolean]>(
		[
			[['2.4.0', true], '2.4.0'],
			[['2.3.8+rev2', true], '2.3.8'],
			[['2.3.8+rev1', false], 'c0ffee1'],
			[['3.1.0+build5', true], '3.1.0'],
			[['3.0.0-rc.1', true], '3.0.0-rc.1'],
			[['2.4.1-1648554962021', true], '2.4.1-1648554962021'],
			// Names are in lower case, and have no "+".
			[['3.0.0-RC.1', true], 'c0ffee1'],
			[['2.4.1-1648554962021+x', true], 'c0ffee1'],
			[['', true], 'c0ffee1'],
		],
		([rawVersion, isHighest]) => typable(rowOf(rawVersion, { commit: 'c0ffee1' }), isHighest),
	);
});
