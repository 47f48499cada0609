import { describe } from 'node:test';
import {
	ambiguousCommit,
	chooseService,
	closestVersion,
	explainNoRelease,
	noSuchFleet,
	type Failure,
	type Findings,
} from '../../../src/balena/explain.ts';
import { ARCHITECTURES } from '../../../src/balena/architectures.ts';
import type { ReleaseReference } from '../../../src/balena/reference.ts';
import type { Neighbourhood } from '../../../src/balena/neighbourhood.ts';
import { pickImage, type Image, type MatchedRelease, type ReleaseRow } from '../../../src/balena/release.ts';
import { rowOf } from '../../support/release-row.ts';
import { table } from '../../support/table.ts';

const SLUG = 'balenalabs/browser-aarch64';

/** What was typed behind the slug: "2.4.0", "2.4.0/main", or nothing. */
function reference(text: string): ReleaseReference {
	const [release = '', service] = text.split('/');
	return { slug: SLUG, release: release === '' ? undefined : release, service };
}

const release = (rawVersion: string, change: Partial<ReleaseRow> = {}): ReleaseRow =>
	rowOf(rawVersion, { commit: 'abcdef0123', ...change });

const withServices = (...services: string[]): MatchedRelease => ({
	...release('2.4.0'),
	images: services.map((service): Image => ({ service, repository: `v2/${service}`, digest: undefined })),
});

const show = ({ code, message }: Failure): string => `${code}: ${message}`;

const NOBODY: Neighbourhood = { fleet: undefined, block: [], plain: undefined, withoutOwner: undefined };
const blockOf = (...names: string[]): Neighbourhood['block'] =>
	ARCHITECTURES.filter(({ name }) => names.includes(name)).map((architecture) => ({
		architecture,
		slug: `acme/display-${architecture.name}`,
		latest: undefined,
		services: [],
	}));
const LOG_IN = 'if it is private, log in first, with any user name and a balena API key as the password';
const CHECK = "check the name, and whether the API key's user has access to it";

describe('noSuchFleet: the same words for absent and forbidden, and what there is instead', () => {
	table<[isAnonymous: boolean, around: Partial<Neighbourhood>, namesakes: string[]]>(
		[
			[[true, {}, []], `there is no public fleet ${SLUG}; ${LOG_IN}`],
			[[false, {}, []], `there is no fleet ${SLUG} that this login may pull from; ${CHECK}`],
			[[true, { block: blockOf('amd64') }, []], `there is no public fleet ${SLUG}; there is acme/display-amd64`],
			[
				[true, { block: blockOf('amd64', 'aarch64', 'armv7hf') }, []],
				`there is no public fleet ${SLUG}; there are acme/display-aarch64, acme/display-amd64 and acme/display-armv7hf`,
			],
			[[false, { block: blockOf('rpi') }, []], `there is no fleet ${SLUG} that this login may pull from; there is acme/display-rpi`],
			[[true, { plain: 'acme/display' }, []], `there is no public fleet ${SLUG}; there is acme/display`],
			[[true, { withoutOwner: 'acme/display-amd64/2.4.0' }, []], `there is no public fleet ${SLUG}; there is acme/display-amd64/2.4.0`],
			// To log in comes last.
			[[true, {}, [SLUG, 'balenablocks/x']], `there is no public fleet ${SLUG}; balenablocks/x exists; ${LOG_IN}`],
			[[true, {}, ['a/x', 'b/x']], `there is no public fleet ${SLUG}; a/x and b/x exist; ${LOG_IN}`],
			[[true, { block: blockOf('rpi') }, ['a/x']], `there is no public fleet ${SLUG}; there is acme/display-rpi; a/x exists`],
		],
		([isAnonymous, around, namesakes]) => noSuchFleet(SLUG, isAnonymous, { ...NOBODY, ...around }, namesakes).message,
	);
});

describe('explainNoRelease', () => {
	const fleet = (...releases: ReleaseRow[]): Findings => ({
		around: { ...NOBODY, fleet: { latest: undefined, services: ['main', 'Side_Car'] } },
		namesakes: [],
		releases,
	});
	const usual = [release('2.4.0'), release('2.3.8+rev2'), release('2.3.8+rev1'), release('2.3.8'), release('1.9.0')];
	table<[typed: string, fleet: Findings | undefined]>(
		[
			[
				['2.3.9', undefined],
				`NAME_UNKNOWN: there is no public fleet ${SLUG}; if it is private, log in first, with any user name and a balena API key as the password`,
			],
			// No such release: the latest, and the closest.
			[['2.3.9', fleet(...usual)], `NAME_UNKNOWN: ${SLUG} has no release 2.3.9; its latest is 2.4.0, and 2.3.8 exists`],
			[['v2.3.9', fleet(...usual)], `NAME_UNKNOWN: ${SLUG} has no release v2.3.9; its latest is 2.4.0, and 2.3.8 exists`],
			[['1.2.3', fleet(...usual)], `NAME_UNKNOWN: ${SLUG} has no release 1.2.3; its latest is 2.4.0, and 1.9.0 exists`],
			[['2.4.1', fleet(...usual)], `NAME_UNKNOWN: ${SLUG} has no release 2.4.1; its latest is 2.4.0`],
			[['9.9.9', fleet(...usual)], `NAME_UNKNOWN: ${SLUG} has no release 9.9.9; its latest is 2.4.0`],
			[['abcdef9', fleet(...usual)], `NAME_UNKNOWN: ${SLUG} has no release abcdef9; its latest is 2.4.0`],
			[['nightly', fleet(...usual)], `NAME_UNKNOWN: ${SLUG} has no release nightly; its latest is 2.4.0`],
			[['2.4.0', fleet()], `NAME_UNKNOWN: ${SLUG} has no release 2.4.0; it has no finished release yet`],
			// Nothing is tracked.
			[['', fleet()], `NAME_UNKNOWN: ${SLUG} has no release to pull yet`],
			[['', fleet(...usual)], `NAME_UNKNOWN: ${SLUG} has no release to pull yet; its latest is 2.4.0`],
			[['/main', fleet()], `NAME_UNKNOWN: ${SLUG} has no release to pull yet`],
			// A draft by its plain version.
			[
				['2.4.1', fleet(release('2.4.1-1648554962021'), ...usual)],
				`NAME_UNKNOWN: release 2.4.1 of ${SLUG} is a draft; pull it by its whole version, as in ${SLUG}/2.4.1-1648554962021`,
			],
			[
				['v2.4.1', fleet(release('2.4.1-1648554962021'))],
				`NAME_UNKNOWN: release v2.4.1 of ${SLUG} is a draft; pull it by its whole version, as in ${SLUG}/2.4.1-1648554962021`,
			],
			// One whose whole version no image name can hold: by its commit.
			[
				['2.4.1', fleet(release('2.4.1-1+x', { isFinal: false }))],
				`NAME_UNKNOWN: release 2.4.1 of ${SLUG} is a draft; pull it by its whole version, as in ${SLUG}/abcdef0123`,
			],
			[
				['2.4.1', fleet(release('2.4.1', { rawVersion: '', isFinal: false }))],
				`NAME_UNKNOWN: release 2.4.1 of ${SLUG} is a draft; pull it by its whole version, as in ${SLUG}/abcdef0123`,
			],
			// A draft that is not to be had by its whole version either.
			[
				['2.4.1', fleet(release('2.4.1-1', { status: 'failed' }))],
				`NAME_UNKNOWN: release 2.4.1 of ${SLUG} did not build (its status is "failed"); it has no finished release yet`,
			],
			[
				['2.4.1-1', fleet(release('2.4.1-1', { status: 'failed' }))],
				`NAME_UNKNOWN: release 2.4.1-1 of ${SLUG} did not build (its status is "failed"); it has no finished release yet`,
			],
			// Not built.
			[
				['2.5.0', fleet(release('2.5.0', { status: 'failed' }), ...usual)],
				`NAME_UNKNOWN: release 2.5.0 of ${SLUG} did not build (its status is "failed"); its latest is 2.4.0`,
			],
			[
				['2.3.9', fleet(release('2.3.9', { status: 'cancelled' }), ...usual)],
				`NAME_UNKNOWN: release 2.3.9 of ${SLUG} did not build (its status is "cancelled"); its latest is 2.4.0, and 2.3.8 exists`,
			],
			[
				['2.5.0', fleet(release('2.5.0', { status: 'running' }), ...usual)],
				`NAME_UNKNOWN: release 2.5.0 of ${SLUG} is still building; its latest is 2.4.0`,
			],
			[
				['v2.5.0', fleet(release('2.5.0', { status: 'running' }))],
				`NAME_UNKNOWN: release v2.5.0 of ${SLUG} is still building; it has no finished release yet`,
			],
			[
				['abcdef0', fleet(release('2.5.0', { status: 'failed' }))],
				`NAME_UNKNOWN: release abcdef0 of ${SLUG} did not build (its status is "failed"); it has no finished release yet`,
			],
			[
				['fedcba9', fleet(release('2.5.0', { status: 'failed' }))],
				`NAME_UNKNOWN: ${SLUG} has no release fedcba9; it has no finished release yet`,
			],
			[
				['2.6.0', fleet(release('2.5.0', { status: 'failed' }))],
				`NAME_UNKNOWN: ${SLUG} has no release 2.6.0; it has no finished release yet`,
			],
			// What was meant by it.
			[
				['side_car', fleet(...usual)],
				`NAME_UNKNOWN: ${SLUG} has no release side_car, but a service of that name; pull it as ${SLUG}/latest/side_car`,
			],
			[
				['arm64', { ...fleet(...usual), around: { ...fleet().around, block: blockOf('amd64', 'aarch64') } }],
				`NAME_UNKNOWN: ${SLUG} has no release arm64; there is acme/display-aarch64`,
			],
			// Build metadata, and what else nobody can type.
			[
				['2.3.9', fleet(release('2.4.0+build5'), release('2.3.8+rev2'))],
				`NAME_UNKNOWN: ${SLUG} has no release 2.3.9; its latest is 2.4.0, and 2.3.8 exists`,
			],
			[['9.9.9', fleet(release('2.4.0-RC.1'))], `NAME_UNKNOWN: ${SLUG} has no release 9.9.9; its latest is abcdef0123`],
			[
				['2.5.0-rev1', fleet(release('2.5.0+rev1', { status: 'failed' }))],
				`NAME_UNKNOWN: release 2.5.0-rev1 of ${SLUG} did not build (its status is "failed"); it has no finished release yet`,
			],
			[
				['3', fleet(release('3.0.0-1648554962021'))],
				`NAME_UNKNOWN: release 3 of ${SLUG} is a draft; pull it by its whole version, as in ${SLUG}/3.0.0-1648554962021`,
			],
			// A failed one is not suggested, nor a draft.
			[
				['2.3.9', fleet(release('2.3.10', { status: 'failed' }), release('2.3.11-1'), ...usual)],
				`NAME_UNKNOWN: ${SLUG} has no release 2.3.9; its latest is 2.4.0, and 2.3.8 exists`,
			],
		],
		([typed, fleet]) => show(explainNoRelease(reference(typed), fleet ?? { around: NOBODY, namesakes: [], releases: [] }, true)),
	);
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

describe('closestVersion: of the same minor, else of the same major', () => {
	table<[wanted: string, versions: string[]]>(
		[
			[['2.3.9', ['2.4.0', '2.3.8', '2.3.1']], '2.3.8'],
			[['2.3.9', ['2.4.0', '2.3.12', '2.3.8']], '2.3.8'],
			[['2.3.9', ['2.3.11', '2.3.8']], '2.3.8'],
			[['2.3.9', ['2.3.10', '2.3.8']], '2.3.10'],
			[['2.3.9', ['2.9.0', '2.5.0', '2.0.0']], '2.5.0'],
			[['2.3', ['2.4.0', '2.3.8']], '2.3.8'],
			[['2', ['2.4.0', '2.3.8', '1.0.0']], '2.3.8'],
			[['v2.3.9', ['2.3.8']], '2.3.8'],
			[['2.3.9-draft', ['2.3.8']], '2.3.8'],
			[['2023101abc', ['2023101.0.0']], undefined],
			[['3.0.0', ['2.4.0']], undefined],
			[['3.0.0', []], undefined],
			[['nightly', ['2.4.0']], undefined],
			[['release-2.3.9', ['2.3.8']], undefined],
			[['123456789.1.0', ['123456789.0.0']], '123456789.0.0'],
			[['abcdef0', ['2.4.0']], undefined],
			[['2.3.9', ['', 'x', '2.3.8']], '2.3.8'],
		],
		([wanted, versions]) => closestVersion(wanted, versions),
	);
});
