import { draft, final, fleet, type SampleFleet } from './fleets.ts';
import type { Sql } from './odata.ts';

/* Fleets of thousands of releases, to see what a name costs the API there. */

/** The slug of the fleet with so many releases. */
export const slugOfMany = (releases: number): string => `acme/many-${releases}`;

/** Those of their releases that are not like the others: lower than all of them, or higher. The others have no images that can be pulled. */
const SPECIAL = [final('0.0.4'), draft('0.0.5', 1_700_000_000_000), final('0.0.7', { status: 'failed' }), final('500.0.0')];

/** The fewest releases that such a fleet has. */
const FEWEST = SPECIAL.length;

/** @param sizes how many releases each of the fleets has in all */
export function fleetsOfMany(sizes: readonly number[]): SampleFleet[] {
	return sizes.map((size) => fleet(slugOfMany(size), 'public', { target: '500.0.0', releases: SPECIAL }));
}

/** As src/balena-init.sql of open-balena-api 49 has them, for the tables that are asked. */
const INDEXES = [
	'"application" ("should be running-release")',
	'"image" ("is a build of-service", "id")',
	'"image-is part of-release" ("is part of-release", "image")',
	'"release" ("belongs to-application", "commit", "status")',
	'"release" ("id", "belongs to-application", "status")',
	'"release" ("belongs to-application", "revision", "semver major", "semver minor", "semver patch", "semver prerelease", "variant")',
];

/**
 * Fills the fleets up, within the database: `<a>.<b>.<c>` with 0 to 49 for b, 0 to 19 for c, and a from 1 on, each release final with one image.
 *
 * @param service the registry's name, with which image locations begin
 */
export async function addMany(sql: Sql, sizes: readonly number[], service: string): Promise<void> {
	for (const size of sizes) {
		const slug = slugOfMany(size);
		const rows = '(SELECT n, $1 || \' \' || n AS "name" FROM generate_series(0, $2::int - 1) n) made';
		const more = [slug, size - FEWEST];
		const application = '(SELECT "id" FROM "application" WHERE "slug" = $1)';
		const [{ release, image } = {}] = await sql(
			'SELECT (SELECT max("id") FROM "release") + 1 AS "release", (SELECT max("id") FROM "image") + 1 AS "image"',
			[],
		);
		await sql(
			`INSERT INTO "release" ("id", "created at", "belongs to-application", "commit", "status", "source", "semver", "semver major", "semver minor", "semver patch",
				"semver prerelease", "semver build", "variant", "version", "raw version", "revision", "is final", "is invalidated", "is passing tests")
			SELECT $3::int + n, now(), ${application}, md5('commit ' || "name"), 'success', 'cloud', version, n / 1000 + 1, n / 20 % 50, n % 20, '', '', '', '{}', version, 0, true, false, true
			FROM ${rows}, LATERAL (SELECT (n / 1000 + 1) || '.' || (n / 20 % 50) || '.' || (n % 20) AS version) numbers`,
			[...more, release],
		);
		await sql(
			`INSERT INTO "image" ("id", "is a build of-service", "is stored at-image location", "content hash", "status")
			SELECT $3::int + n, (SELECT "id" FROM "service" WHERE "application" = ${application}), $4 || '/v2/' || md5('image ' || "name"),
				'sha256:' || encode(sha256(convert_to("name", 'UTF8')), 'hex'), 'success'
			FROM ${rows}`,
			[...more, image, service],
		);
		await sql(
			`INSERT INTO "image-is part of-release" ("id", "image", "is part of-release") SELECT $3::int + n, $3::int + n, $4::int + n FROM generate_series(0, $2::int - 1) n WHERE $1 <> ''`,
			[...more, image, release],
		);
	}
	for (const index of INDEXES) {
		await sql(`CREATE INDEX ON ${index}`, []);
	}
	await sql('ANALYZE', []);
}
