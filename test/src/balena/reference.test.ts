import { describe } from 'node:test';
import { fixedGrant } from '../../../src/token/grant.ts';
import { isBareFleet, isTracked, parseReference, parseReleaseText } from '../../../src/balena/reference.ts';
import { table } from '../../support/table.ts';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const REPOSITORY = `v2/${'0'.repeat(32)}`;

/** What a name refers to, in short: what the release's text can mean is tested by `formsOf`. */
function show(name: string): unknown {
	const reference = parseReference(name);
	switch (reference.kind) {
		case 'repository':
			return { repository: reference.repository };
		case 'invalid':
			return 'invalid';
		case 'fleet':
			return { slug: reference.slug, release: reference.release, service: reference.service, bare: isBareFleet(reference) };
	}
}

describe('parseReference: <org>/<fleet>[/<release>[/<service>]]', () => {
	table<string>(
		[
			['org/app', { slug: 'org/app', bare: true }],
			['balenalabs/browser-aarch64', { slug: 'balenalabs/browser-aarch64', bare: true }],
			['org_1/app_2-x', { slug: 'org_1/app_2-x', bare: true }],
			// Words for the release that the fleet tracks.
			['org/app/latest', { slug: 'org/app', bare: false }],
			['org/app/current', { slug: 'org/app', bare: false }],
			['org/app/default', { slug: 'org/app', bare: false }],
			['org/app/pinned', { slug: 'org/app', bare: false }],
			['org/app/latest/svc', { slug: 'org/app', service: 'svc', bare: false }],
			['org/app/2.4.0', { slug: 'org/app', release: '2.4.0', bare: false }],
			['org/app/2.4.1-1648554962021', { slug: 'org/app', release: '2.4.1-1648554962021', bare: false }],
			['org/app/v2.4.2', { slug: 'org/app', release: 'v2.4.2', bare: false }],
			[`org/app/${COMMIT}`, { slug: 'org/app', release: COMMIT, bare: false }],
			[`org/app/${COMMIT}/svc`, { slug: 'org/app', release: COMMIT, service: 'svc', bare: false }],
			['org/app/2.4.0/latest', { slug: 'org/app', release: '2.4.0', service: 'latest', bare: false }],
			['org/app/anything', { slug: 'org/app', release: 'anything', bare: false }],
			['latest/latest', { slug: 'latest/latest', bare: true }],
			// The upstream's own names.
			[REPOSITORY, { repository: REPOSITORY }],
			['v2/0123', 'invalid'],
			['v2/app', 'invalid'],
			['v2/app/2.4.0', 'invalid'],
			[`${REPOSITORY}/latest`, 'invalid'],
			['v2x/app', { slug: 'v2x/app', bare: true }],
			['org/v2', { slug: 'org/v2', bare: true }],
			// Too few parts, too many, or not names.
			['app', 'invalid'],
			['org/app/2.4.0/svc/x', 'invalid'],
			['', 'invalid'],
			['/', 'invalid'],
			['org/', 'invalid'],
			['/app', 'invalid'],
			['org//app', 'invalid'],
			['org/app/', 'invalid'],
			['Org/app', 'invalid'],
			['org/app/2.3.8+rev1', 'invalid'],
			['org/../app', 'invalid'],
			['org/app/a b', 'invalid'],
			["org/app' or 1 eq 1", 'invalid'],
			['__proto__/app', 'invalid'],
			['constructor/prototype', { slug: 'constructor/prototype', bare: true }],
		],
		show,
	);
});

describe('parseReleaseText', () => {
	table<string>(
		[
			['latest', undefined],
			['pinned', undefined],
			['2.4.0', '2.4.0'],
			['', ''],
		],
		parseReleaseText,
	);
});

describe('fixedGrant: what needs no resolution', () => {
	table<string>(
		[
			[REPOSITORY, { kind: 'image', repository: REPOSITORY, version: '' }],
			[
				'app',
				{
					kind: 'failure',
					code: 'NAME_INVALID',
					message: '"app" is not a reference to a fleet: use <org>/<fleet>, <org>/<fleet>/<release> or <org>/<fleet>/<release>/<service>',
				},
			],
		],
		(name) => {
			const reference = parseReference(name);
			return reference.kind === 'fleet' ? 'a fleet' : fixedGrant(reference);
		},
	);
});

describe('isBareFleet', () => {
	table<string>(
		[
			['org/app', true],
			['org/app/latest', false],
			[REPOSITORY, false],
			['app', false],
		],
		(name) => isBareFleet(parseReference(name)),
	);
});

describe('isTracked', () => {
	table<string>(
		[
			['latest', true],
			['current', true],
			['default', true],
			['pinned', true],
			['Latest', false],
			['2.4.0', false],
			['', false],
			['constructor', false],
		],
		isTracked,
	);
});
