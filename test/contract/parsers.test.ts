import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fleetPageQuery, parseFleetPage, parsePageReleases } from '../../src/balena/fleet-overview.ts';
import { RELEASE_FIELDS, matchRelease, parseListed, parseReleases, versionsOf } from '../../src/balena/release.ts';
import { CONTRACT, type ContractFleet } from './contract.ts';

describe('the parsers read the real rows', () => {
	const fleets = Object.values({ ...CONTRACT.anonymous, ...CONTRACT.alice }).flat();
	/** As it is asked for a list: with the number of images. */
	const counted = (fleet: ContractFleet) => ({
		owns__release: fleet.owns__release.map((row) => ({ ...row, release_image: row.release_image.length })),
	});
	const releasesOf = (fleet: ContractFleet) => parseReleases(fleet.owns__release.map((row) => ({ ...row, status: 'success' })));
	test('all of them', () => {
		for (const fleet of fleets) {
			assert.equal(parseReleases(fleet.owns__release).length, fleet.owns__release.length);
			assert.equal(parsePageReleases(fleet.owns__release).length, fleet.owns__release.length);
			assert.equal(parseFleetPage([fleet])?.slug, fleet.slug);
			assert.ok(parseListed([fleet].map(counted)));
		}
	});
	test('every field that is asked for is there', () => {
		const { $expand } = fleetPageQuery('a/b') as { $expand: { owns__release: { $select: string[] } } };
		for (const field of [...RELEASE_FIELDS, ...$expand.owns__release.$select]) {
			assert.ok(field in CONTRACT.anonymous['acme/browser']![0]!.owns__release[0]!, field);
		}
	});
	const rows: [slug: string, text: string, rawVersion: string | undefined][] = [
		['acme/prerel', '3.0', '3.0.0'],
		['acme/prerel', '3.1.0', '3.1.0+build5'],
		['acme/prerel', '5.0.0', '5.0.0+rev1'],
		['acme/prerel', '5.0', '5.0.0+rev1'],
		['acme/prerel', '5.2', '5.2.0-rc.10'],
		['acme/prerel', '5.1.0', '5.1.0+dev'],
		['acme/prerel', '4.0.0-beta.2', '4.0.0-beta.2'],
		['acme/browser', '2.3.8', '2.3.8+rev2'],
		['acme/browser', '2.3.8-rev1', '2.3.8+rev1'],
		['acme/browser', '2.4.1', undefined],
		['acme/noversion', '0.0.0', '0.0.0+rev1'],
		['acme/ambig', '1234567', '1.2.0'],
	];
	for (const [slug, text, rawVersion] of rows) {
		test(`${slug}/${text} is ${rawVersion}`, () => {
			const match = matchRelease(releasesOf(CONTRACT.anonymous[slug]![0]!), text);
			assert.equal(match.kind === 'one' ? match.release.rawVersion : undefined, rawVersion);
		});
	}
	test('a tag list has what can be typed', () => {
		assert.deepEqual(versionsOf(parseListed(CONTRACT.anonymous['acme/prerel']!.map(counted))!).includes('3.1.0'), true);
		assert.ok(!versionsOf(parseListed(CONTRACT.anonymous['acme/prerel']!.map(counted))!).some((version) => version.includes('+')));
	});
});
