import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ZodError } from 'zod';
import { fleetPageQuery, parseFleetPage } from '../../../src/balena/fleet-overview.ts';
import { table } from '../../support/table.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

/** Rows as the API sends them. */
const image = (service: string, change: object = {}) => ({
	content_hash: DIGEST,
	image_size: '1000',
	is_a_build_of__service: [{ service_name: service }],
	...change,
});
const release = (change: object = {}) => ({
	commit: 'abc',
	status: 'success',
	is_final: true,
	semver_major: 2,
	semver_minor: 4,
	semver_patch: 0,
	semver_prerelease: '',
	raw_version: '2.4.0',
	revision: 0,
	created_at: '2026-11-23T14:30:00.000Z',
	release_image: [],
	...change,
});
const fleet = (change: object = {}) => ({
	slug: 'org/app',
	app_name: 'App',
	is_for__device_type: [],
	should_be_running__release: [],
	owns__release: [],
	...change,
});

describe('parseFleetPage: what everybody may know of a fleet', () => {
	table<object>(
		[
			[fleet(), { slug: 'org/app', name: 'App', releases: [] }],
			[
				fleet({
					is_for__device_type: [{ name: 'Raspberry Pi 4', slug: 'raspberrypi4-64', is_of__cpu_architecture: [{ slug: 'aarch64' }] }],
					should_be_running__release: [{ commit: 'abc' }],
				}),
				{ slug: 'org/app', name: 'App', deviceType: 'Raspberry Pi 4', architecture: 'aarch64', trackedCommit: 'abc', releases: [] },
			],
			[
				fleet({ is_for__device_type: [{ name: null, slug: 'raspberrypi4-64', is_of__cpu_architecture: null }] }),
				{ slug: 'org/app', name: 'App', deviceType: 'raspberrypi4-64', releases: [] },
			],
			[fleet({ is_for__device_type: null, should_be_running__release: null }), { slug: 'org/app', name: 'App', releases: [] }],
		],
		(row) => parseFleetPage([row]),
	);
	test('nothing where there is no such fleet', () => assert.equal(parseFleetPage([]), undefined));
	for (const rows of [
		null,
		'<html>',
		{ d: [] },
		[null],
		[{}],
		[fleet({ slug: 7 })],
		[fleet({ owns__release: [{}] })],
		[fleet({ owns__release: [release({ release_image: [{ image: [image('x', { image_size: -1 })] }] })] })],
	]) {
		test(`${JSON.stringify(rows).slice(0, 60)} is refused`, () => assert.throws(() => parseFleetPage(rows), ZodError));
	}
});

describe('parseFleetPage: how a release is named in a reference', () => {
	const paths = (...releases: object[]): unknown =>
		parseFleetPage([fleet({ owns__release: releases })])?.releases.map(({ version, path, date }) => `${version} ${path} ${date}`);
	table<object[]>(
		[
			[[release()], ['2.4.0 2.4.0 2026-11-23']],
			// Of several revisions, the plain version means the highest.
			[
				[release({ commit: 'a', raw_version: '2.4.0+rev1', revision: 1 }), release({ commit: 'b' })],
				['2.4.0+rev1 2.4.0 2026-11-23', '2.4.0 b 2026-11-23'],
			],
			[
				[release({ commit: 'b' }), release({ commit: 'a', raw_version: '2.4.0+rev1', revision: 1 })],
				['2.4.0 b 2026-11-23', '2.4.0+rev1 2.4.0 2026-11-23'],
			],
			[[release({ raw_version: null, revision: null })], ['2.4.0 2.4.0 2026-11-23']],
			// What no name can hold.
			[[release({ semver_prerelease: 'X', raw_version: '2.4.0-X' })], ['2.4.0-X abc 2026-11-23']],
			// Build metadata is no part of it.
			[[release({ raw_version: '2.4.0+build5' })], ['2.4.0+build5 2.4.0 2026-11-23']],
		],
		(releases) => paths(...releases),
	);
});

describe('parseFleetPage: the images of a release', () => {
	table<object[]>(
		[
			[[image('main')], [{ service: 'main', digest: DIGEST, size: 1000 }]],
			[
				[image('web'), image('db')],
				[
					{ service: 'db', digest: DIGEST, size: 1000 },
					{ service: 'web', digest: DIGEST, size: 1000 },
				],
			],
			[[image('main', { image_size: 5 })], [{ service: 'main', digest: DIGEST, size: 5 }]],
			[[image('main', { image_size: null, content_hash: null })], [{ service: 'main', size: 0 }]],
			[[image('main', { content_hash: '"><script>' })], [{ service: 'main', size: 1000 }]],
			[[image('main', { is_a_build_of__service: [] })], [{ service: '', digest: DIGEST, size: 1000 }]],
		],
		(images) =>
			parseFleetPage([fleet({ owns__release: [release({ release_image: images.map((one) => ({ image: [one] })) })] })])?.releases[0]
				?.images,
	);
});

describe('fleetPageQuery', () => {
	test('asks for the final releases of one fleet, newest first', () => {
		const { $top, $filter, $expand } = fleetPageQuery('org/app') as {
			$top: number;
			$filter: unknown;
			$expand: { owns__release: { $top: number; $filter: unknown; $orderby: unknown } };
		};
		assert.deepEqual([$top, $filter], [1, { slug: 'org/app' }]);
		const { $top: most, $filter: which, $orderby } = $expand.owns__release;
		assert.deepEqual([most, which, $orderby], [30, { status: 'success', is_final: true }, [{ created_at: 'desc' }, { id: 'desc' }]]);
	});
});
