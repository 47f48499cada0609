import fc from 'fast-check';
import assert from 'node:assert/strict';
import { releaseQuery, versionsQuery } from '../../src/balena/release-query.ts';
import { matchRelease, parseListed, parseReleases, pickImage, versionsOf, type MatchedRelease } from '../../src/balena/release.ts';
import { formatVersion } from '../../src/balena/version.ts';
import { tagPage } from '../../src/registry/tag-page.ts';
import { meets } from '../support/filter.ts';
import { check } from './check.ts';
import { apiRow, candidate } from './fleets.ts';

/* Every listed tag is the release that it looks like: the two queries, and what is made of their answers. By requests and real clients: plugins/pull/listed-tags.test.ts. */

type Row = Record<string, unknown>;
type Query = { $filter: Row; $orderby: Record<string, string>[]; $top: number };

/** A fleet: no two of its releases have the same raw version. */
const fleet = fc.uniqueArray(candidate, { maxLength: 40, selector: ({ rawVersion }) => rawVersion });

function rowsOf(releases: readonly MatchedRelease[]): Row[] {
	return releases.map((release, id) => ({
		...apiRow(release),
		id,
		release_image: release.images.map(({ service, repository, digest }) => ({
			image: [
				{
					is_stored_at__image_location: `registry.example/${repository}`,
					content_hash: digest,
					is_a_build_of__service: [{ service_name: service }],
				},
			],
		})),
	}));
}

/** What the API answers to a query of a fleet's releases. */
function answer(rows: readonly Row[], { $filter, $orderby, $top }: Query): Row[] {
	const { belongs_to__application: _, ...filter } = $filter;
	return rows
		.filter((row) => meets(filter, row))
		.sort((a, b) => {
			for (const [field, direction] of $orderby.flatMap(Object.entries<string>)) {
				const [x, y] = [a[field] as number | string, b[field] as number | string];
				if (x !== y) {
					return x < y === (direction === 'asc') ? -1 : 1;
				}
			}
			return 0;
		})
		.slice(0, $top);
}

/** @returns the tags of all pages */
function listed(rows: readonly Row[], n: number): string[] {
	const { $expand } = versionsQuery('acme/app') as { $expand: { owns__release: Query } };
	const releases = answer(rows, $expand.owns__release).map((row) => ({
		...row,
		release_image: (row['release_image'] as unknown[]).length,
	}));
	const versions = versionsOf(parseListed([{ owns__release: releases }])!);
	const tags: string[] = [];
	for (let last: string | undefined, more = true; more;) {
		const page = tagPage(versions, { n, last }, '/');
		tags.push(...page.tags);
		assert.ok(tags.length <= rows.length, 'pages that repeat themselves');
		last = page.tags.at(-1);
		more = page.link !== undefined;
	}
	return tags;
}

check(
	'every version with one image is listed once, and is that release',
	fc.property(fleet, fc.integer({ min: 1, max: 5 }), (releases, n) => {
		const rows = rowsOf(releases);
		const tags = listed(rows, n);
		for (const tag of tags) {
			const query = releaseQuery({ slug: 'acme/app', release: tag }) as Query | undefined;
			assert.ok(query, tag);
			const match = matchRelease(parseReleases(answer(rows, query)), tag);
			assert.equal(match.kind, 'one', tag);
			const { release } = match as Extract<typeof match, { kind: 'one' }>;
			assert.deepEqual([release.isFinal, release.status, formatVersion(release.version!)], [true, 'success', tag]);
			assert.notEqual(pickImage({ service: undefined }, release), undefined, tag);
		}
		const pullable = releases.filter(({ isFinal, status }) => isFinal && status === 'success');
		const revisions = Map.groupBy(pullable, ({ version }) => formatVersion(version!));
		const single = [...revisions].filter(([, all]) => {
			const highest = Math.max(...all.map(({ revision }) => revision!));
			const [plain, ...variants] = all
				.filter(({ revision }) => revision === highest)
				.sort((a, b) => Number(a.rawVersion.includes('+')) - Number(b.rawVersion.includes('+')));
			return (plain ?? variants[0])!.images.length === 1;
		});
		assert.deepEqual(tags.toSorted(), single.map(([version]) => version).toSorted());
	}),
	0.3,
);
