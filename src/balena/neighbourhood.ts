import { z } from 'zod';
import { architectureOf, ARCHITECTURES, slugsOfBlock, splitArchitecture, type Architecture } from './architectures.ts';
import type { ReleaseReference } from './reference.ts';
import type { Filter } from './release-forms.ts';
import { HIGHEST_FIRST, PULLABLE } from './release-query.ts';
import { RELEASE_FIELDS, releaseRow, type ReleaseRow } from './release.ts';

/**
 * What a caller may see of, and around, a fleet that was named: for the sentence that explains a failure, and for a block of
 * several fleets.
 */
export interface Neighbourhood {
	/** The fleet itself; undefined where it is not there for the caller. */
	fleet: Neighbour | undefined;
	/** The fleets of the same block for one architecture each, in the order of `ARCHITECTURES`; without the fleet itself. */
	block: ({ architecture: Architecture; slug: string } & Neighbour)[];
	/** The fleet without an architecture in its name, where one was named with it. */
	plain: string | undefined;
	/** The fleet that is meant by `<owner>/<org>/<fleet>...`. */
	withoutOwner: string | undefined;
}

export interface Neighbour {
	latest: ReleaseRow | undefined;
	services: string[];
}

const MAX_SERVICES = 50;

/** The slugs that are asked for: the fleet's own first, and all others because of what people write instead. */
function slugsAround({ slug, release }: Pick<ReleaseReference, 'slug' | 'release'>): {
	block: string;
	owned: string | undefined;
	all: string[];
} {
	const [org, fleet] = slug.split('/') as [string, string];
	const block = `${org}/${splitArchitecture(fleet).block}`;
	const owned = release === undefined ? undefined : `${fleet}/${release}`;
	return { block, owned, all: [...new Set([slug, block, ...slugsOfBlock(block), ...(owned === undefined ? [] : [owned])])] };
}

/**
 * The one query that says which fleets there are for a caller. It asks by slug alone, which has an index, and depends on the
 * reference alone, so that what is hidden makes no more work than what is absent.
 *
 * @returns options for the resource `application`; `parseNeighbourhood` reads the rows
 */
export function neighbourhoodQuery(reference: Pick<ReleaseReference, 'slug' | 'release'>): Filter {
	const { all } = slugsAround(reference);
	return {
		$top: all.length,
		$select: ['id', 'slug'],
		$filter: { slug: { $in: all } },
		$expand: {
			owns__release: { $top: 1, $select: RELEASE_FIELDS, $filter: PULLABLE, $orderby: HIGHEST_FIRST },
			service: { $top: MAX_SERVICES, $select: ['service_name'], $orderby: [{ service_name: 'asc' }] },
		},
	};
}

const text = z.string().max(1000);
const fleetRow = z.object({
	slug: text,
	owns__release: z.array(releaseRow),
	service: z.array(z.object({ service_name: text })),
});

/** @throws ZodError where the API's answer is not of the expected form */
export function parseNeighbourhood(rows: unknown, reference: Pick<ReleaseReference, 'slug' | 'release'>): Neighbourhood {
	const fleets = new Map(
		z
			.array(fleetRow)
			.parse(rows)
			.map((row) => [row.slug, row]),
	);
	const { slug } = reference;
	const { block, owned } = slugsAround(reference);
	const neighbour = (of: string): Neighbour | undefined => {
		const row = fleets.get(of);
		return row && { latest: row.owns__release[0], services: row.service.map(({ service_name }) => service_name) };
	};
	return {
		fleet: neighbour(slug),
		block: ARCHITECTURES.flatMap((architecture) => {
			const one = `${block}-${architecture.name}`;
			const found = one === slug ? undefined : neighbour(one);
			return found === undefined ? [] : [{ architecture, slug: one, ...found }];
		}),
		plain: block !== slug && fleets.has(block) ? block : undefined,
		withoutOwner: owned !== undefined && fleets.has(owned) ? owned : undefined,
	};
}

/** @returns the fleet of a neighbourhood for the architecture that a release's text is the name of, if it is one */
export function fleetForArchitecture({ block }: Neighbourhood, release: string | undefined): string | undefined {
	const wanted = release === undefined ? undefined : architectureOf(release);
	return wanted && block.find(({ architecture }) => architecture === wanted)?.slug;
}

/** Most fleets of one name that are named in a sentence. */
const MAX_NAMESAKES = 4;

/**
 * The fleets of the same name in other organisations. It asks by a field of which nobody outside can say that it has an index
 * (200,000 fleets without one: 63 to 180 ms instead of 0.1), so it is asked seldom: docs/decisions/0010-fleets-by-name-seldom.md.
 *
 * @returns options for the resource `application`, of what everybody may see; `parseNamesakes` reads the rows
 */
export function namesakesQuery(fleet: string): Filter {
	return { $top: MAX_NAMESAKES, $select: ['slug'], $filter: { app_name: fleet, is_public: true }, $orderby: [{ slug: 'asc' }] };
}

/** @returns slugs, in their order. @throws ZodError likewise */
export function parseNamesakes(rows: unknown): string[] {
	return z
		.array(z.object({ slug: text }))
		.parse(rows)
		.map(({ slug }) => slug);
}
