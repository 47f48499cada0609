import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_RELEASES, type FleetPageData, type PageRelease } from '../../../src/balena/fleet-overview.ts';
import { fileSize, fleetPage } from '../../../src/page/fleet-page.ts';
import { shown } from '../../support/shown.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

function release(version: string, services: string[], more: Partial<PageRelease> = {}): PageRelease {
	return {
		version,
		path: version,
		commit: version.padEnd(32, '0'),
		date: '2026-01-02',
		images: services.map((service) => ({ service, digest: DIGEST, size: 1_500_000 })),
		...more,
	};
}

function fleet(releases: PageRelease[]): FleetPageData {
	return {
		slug: 'acme/fleet',
		name: 'fleet',
		deviceType: 'Raspberry Pi 4',
		architecture: 'aarch64',
		trackedCommit: releases[0]?.commit,
		releases,
	};
}

describe('the page of a fleet', () => {
	const one = release('2.4.0', ['main']);
	const rows: { name: string; page: string; has: (string | RegExp)[]; hasNot?: (string | RegExp)[] }[] = [
		{
			name: 'has the lines to copy, also with the digest, and the facts',
			page: fleetPage('bh.cr', fleet([one]), one),
			has: [
				'docker pull bh.cr/acme/fleet/2.4.0\n',
				`docker pull bh.cr/acme/fleet/2.4.0@${DIGEST}\n`,
				'services:\n  main:\n    image: bh.cr/acme/fleet/2.4.0\n',
				`    image: bh.cr/acme/fleet/2.4.0@${DIGEST}\n`,
				'FROM bh.cr/acme/fleet/2.4.0\n',
				`FROM bh.cr/acme/fleet/2.4.0@${DIGEST}\n`,
				'kind: Pod\nmetadata:\n  name: fleet\nspec:\n  containers:\n    - name: main\n      image: bh.cr/acme/fleet/2.4.0\n      imagePullPolicy: IfNotPresent\n',
				`      image: bh.cr/acme/fleet/2.4.0@${DIGEST}\n`,
				'aarch64',
				'Raspberry Pi 4',
				'1.5 MB',
				'2026-01-02',
				'tracked',
			],
			hasNot: ['invalidated'],
		},
		{
			name: 'names each of several services, in lower case',
			page: fleetPage('bh.cr', fleet([]), release('1.0.0', ['db', 'Web'])),
			has: [
				'docker pull bh.cr/acme/fleet/1.0.0/db\ndocker pull bh.cr/acme/fleet/1.0.0/web\n',
				'  Web:\n    image: bh.cr/acme/fleet/1.0.0/web\n',
				'FROM bh.cr/acme/fleet/1.0.0/db\nFROM',
				'    - name: web\n',
			],
		},
		{
			name: 'shows one of several services, and where the others are',
			page: fleetPage('bh.cr', fleet([]), release('1.0.0', ['db', 'Web']), 'web'),
			has: ['Release 1.0.0, service web', 'docker pull bh.cr/acme/fleet/1.0.0/web\n', 'All 2 services'],
			hasNot: ['1.0.0/db'],
		},
		{
			name: 'says that there is nothing yet',
			page: fleetPage('bh.cr', fleet([]), undefined),
			has: ['no release to pull yet'],
			hasNot: ['docker pull'],
		},
		{
			name: 'says so where a release has no image',
			page: fleetPage('bh.cr', fleet([]), release('1.0.0', [])),
			has: ['no image to pull'],
			hasNot: ['docker pull'],
		},
		{
			name: 'offers no digest where nobody knows it',
			page: fleetPage('bh.cr', fleet([]), release('1.0.0', [], { images: [{ service: 'main', digest: undefined, size: 0 }] })),
			has: ['docker pull bh.cr/acme/fleet/1.0.0\n'],
			hasNot: ['@', 'digest', 'undefined'],
		},
		{
			name: 'says nothing of what is not known',
			page: fleetPage(
				'bh.cr',
				{ ...fleet([]), architecture: undefined, deviceType: undefined },
				release('1.0.0', ['main'], { commit: '', date: '' }),
			),
			has: ['Release 1.0.0'],
			hasNot: ['undefined', 'commit', 'tracked'],
		},
		{
			name: 'marks what was taken back',
			page: fleetPage('bh.cr', fleet([]), release('1.0.0', ['main'], { isInvalidated: true })),
			has: ['invalidated'],
		},
		{
			name: 'says that its list has an end',
			page: fleetPage('bh.cr', fleet(Array.from({ length: MAX_RELEASES }, (_, i) => release(`1.0.${i}`, ['main']))), undefined),
			has: ['The newest 30.'],
		},
		{
			name: 'copies no service into a shell that is no name',
			page: fleetPage('bh.cr', fleet([]), release('1.0.0', ['db', 'web; rm -rf ~', 'x\ny'])),
			has: ['docker pull bh.cr/acme/fleet/1.0.0/db\n'],
			hasNot: ['rm -rf'],
		},
	];
	for (const { name, page, has, hasNot = [] } of rows) {
		test(name, () => {
			for (const text of has) {
				assert.ok(shown(page).includes(text as string), `${String(text)} in\n${shown(page)}`);
			}
			for (const text of hasNot) {
				assert.ok(!shown(page).includes(text as string), `${String(text)} in\n${shown(page)}`);
			}
		});
	}

	test('has links to the other releases, and not to the one that is shown', () => {
		const page = fleetPage('bh.cr', fleet([one, release('2.3.0+rev1', ['main'], { path: '2.3.0' })]), one);
		assert.deepEqual(
			[...page.matchAll(/href="([^"]*)"/g)].map(([, href]) => href),
			['/', '/acme/fleet/2.3.0'],
		);
	});

	test('escapes what the API says', () => {
		const evil = '<img src=x onerror=alert(1)>';
		const page = fleetPage(
			'bh.cr',
			{ ...fleet([release(evil, [evil])]), name: evil, deviceType: evil, architecture: evil },
			release(evil, [evil], { commit: evil, date: evil }),
		);
		assert.doesNotMatch(page, /<img/);
	});
});

describe('sizes', () => {
	for (const [bytes, text] of [
		[0, ''],
		[1, '1 B'],
		[999, '999 B'],
		[1000, '1.0 kB'],
		[99_100, '99.1 kB'],
		[1_500_000, '1.5 MB'],
		[2.5e9, '2.5 GB'],
		[Infinity, ''],
	] as const) {
		test(`${bytes} is ${JSON.stringify(text)}`, () => assert.equal(fileSize(bytes), text));
	}
});
