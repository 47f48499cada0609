import { describe } from 'node:test';
import { ambiguousCommit, chooseService } from '../../../src/balena/explain.ts';
import { pickImage, type Image, type MatchedRelease } from '../../../src/balena/release.ts';
import { table } from '../../support/table.ts';
import { reference, release, show, SLUG } from './typed-reference.ts';

/* What is said where a name fits several services, or several releases. */

const withServices = (...services: string[]): MatchedRelease => ({
	...release('2.4.0'),
	images: services.map((service): Image => ({ service, repository: `v2/${service}`, digest: undefined })),
});

describe('pickImage, and chooseService where it finds none', () => {
	const several = withServices('Proxy', 'main', 'db');
	table<[typed: string, release: MatchedRelease]>(
		[
			[['2.4.0', withServices('main')], 'v2/main'],
			[['', withServices('main')], 'v2/main'],
			[['2.4.0/main', withServices('main')], 'v2/main'],
			[['2.4.0/db', several], 'v2/db'],
			// Names of services may have upper case, names of images may not.
			[['2.4.0/proxy', several], 'v2/Proxy'],
			[
				['2.4.0', several],
				`NAME_UNKNOWN: release 2.4.0 of ${SLUG} has several services: Proxy, db, main; pull one of them, as in ${SLUG}/2.4.0/proxy`,
			],
			[
				['', several],
				`NAME_UNKNOWN: release 2.4.0 of ${SLUG} has several services: Proxy, db, main; pull one of them, as in ${SLUG}/latest/proxy`,
			],
			[
				['2.4/x', several],
				`NAME_UNKNOWN: release 2.4.0 of ${SLUG} has no service x; it has: Proxy, db, main; pull one of them, as in ${SLUG}/2.4/proxy`,
			],
			[
				['/x', several],
				`NAME_UNKNOWN: release 2.4.0 of ${SLUG} has no service x; it has: Proxy, db, main; pull one of them, as in ${SLUG}/latest/proxy`,
			],
			[['2.4.0', withServices()], `NAME_UNKNOWN: release 2.4.0 of ${SLUG} has no image to pull`],
			[['2.4.0/main', withServices()], `NAME_UNKNOWN: release 2.4.0 of ${SLUG} has no image to pull`],
			[
				['2.4.0', withServices(...'abcdefgh')],
				`NAME_UNKNOWN: release 2.4.0 of ${SLUG} has several services: a, b, c, d, e, f, g, h; pull one of them, as in ${SLUG}/2.4.0/a`,
			],
			[
				['2.4.0', withServices(...'abcdefghij')],
				`NAME_UNKNOWN: release 2.4.0 of ${SLUG} has several services: a, b, c, d, e, f, g, h and 2 more; pull one of them, as in ${SLUG}/2.4.0/a`,
			],
			// Two services that differ in case only cannot be told apart.
			[
				['2.4.0/main', withServices('main', 'Main')],
				`NAME_UNKNOWN: release 2.4.0 of ${SLUG} has no service main; it has: Main, main; pull one of them, as in ${SLUG}/2.4.0/main`,
			],
		],
		([typed, matched]) => {
			const image = pickImage(reference(typed), matched);
			return image === undefined ? show(chooseService(reference(typed), matched)) : image.repository;
		},
	);
});

describe('chooseService', () => {
	table<string>(
		[
			['2.4.0', `NAME_UNKNOWN: release 2.4.0 of ${SLUG} has several services: db, main; pull one of them, as in ${SLUG}/2.4.0/db`],
			['2.4.0/x', `NAME_UNKNOWN: release 2.4.0 of ${SLUG} has no service x; it has: db, main; pull one of them, as in ${SLUG}/2.4.0/db`],
		],
		(typed) => show(chooseService(reference(typed), withServices('main', 'db'))),
	);
});

describe('ambiguousCommit', () => {
	const candidates = (count: number): MatchedRelease[] =>
		Array.from({ length: count }, (_, i) => ({ ...withServices(), commit: `abcdef0${i}`, rawVersion: i === 0 ? '' : `1.0.${i}` }));
	table<number>(
		[
			[2, `NAME_UNKNOWN: ${SLUG} has several releases whose commit begins with abcdef0: abcdef00 (abcdef00), abcdef01 (1.0.1)`],
			[
				10,
				`NAME_UNKNOWN: ${SLUG} has several releases whose commit begins with abcdef0: abcdef00 (abcdef00), ${[1, 2, 3, 4, 5, 6, 7].map((i) => `abcdef0${i} (1.0.${i})`).join(', ')}`,
			],
		],
		(count) => show(ambiguousCommit(reference('abcdef0'), candidates(count))),
	);
});
