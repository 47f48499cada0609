import fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { ARCHITECTURES } from '../../src/balena/architectures.ts';
import { match, resolution } from '../../src/balena/resolution.ts';
import { check } from './check.ts';
import { apiRow, candidate } from './fleets.ts';

/* No answer of the API puts an image of another fleet into a block: docs/architectures.md. */

const ORG = 'acme';
const BLOCK = `${ORG}/b`;

describe('the resolution', () => {
	const slug = fc.constantFrom(
		...ARCHITECTURES.map(({ name }) => `${BLOCK}-${name}`),
		BLOCK,
		'other/b-amd64',
		`${ORG}/c-amd64`,
		`${BLOCK}-amd64-amd64`,
		`${BLOCK}-riscv64`,
	);
	const rowsOf = fc.array(fc.tuple(slug, candidate), { maxLength: 8 });
	check(
		'a block has images of its own fleets alone, whatever the API says',
		fc.asyncProperty(rowsOf, rowsOf, fc.constantFrom(undefined, '1.0.0', '1', 'aaaaaaa'), async (seen, found, release) => {
			const reference = { slug: BLOCK, release, service: undefined };
			let asked = 0;
			const matched = await match(reference, {
				query: async (resource) => {
					asked++;
					if (resource === 'release') {
						return [];
					}
					return (asked <= 2 ? seen : found).map(([of, row]) => ({
						slug: of,
						service: [],
						owns__release: [
							{
								...apiRow(row),
								release_image: row.images.map(({ service, repository, digest }) => ({
									image: [
										{
											is_stored_at__image_location: `registry/${repository}`,
											content_hash: digest ?? null,
											is_a_build_of__service: [{ service_name: service }],
										},
									],
								})),
							},
						],
					}));
				},
				namesakesOf: async () => [],
				isAnonymous: true,
				hasBlocks: true,
			});
			const meant = resolution(reference, matched);
			if (meant.kind === 'block') {
				assert.ok(!seen.some(([of]) => of === BLOCK));
				for (const { architecture, repository } of meant.images) {
					const of = `${BLOCK}-${architecture}`;
					assert.ok(seen.some(([one]) => one === of));
					assert.ok(found.some(([one, { images }]) => one === of && images.some((image) => image.repository === repository)));
				}
				assert.ok(asked <= 3);
			}
		}),
		0.3,
	);
});
