import { describe } from 'node:test';
import { ARCHITECTURES } from '../../../src/balena/architectures.ts';
import { closestVersion, explainNoRelease, noSuchFleet, type Findings } from '../../../src/balena/explain.ts';
import type { Neighbourhood } from '../../../src/balena/neighbourhood.ts';
import type { ReleaseRow } from '../../../src/balena/release.ts';
import { table } from '../../support/table.ts';
import { reference, release, show, SLUG } from './typed-reference.ts';

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
