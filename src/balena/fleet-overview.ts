import { z } from 'zod';
import { isDigest } from '../registry/digest.ts';
import { isName } from '../registry/name.ts';
import type { ReleaseReference } from './reference.ts';
import { typable } from './release-forms.ts';
import { MAX_IMAGES, releaseQuery } from './release-query.ts';
import { highestFirst, RELEASE_FIELDS, releaseRow, versionOf, type ReleaseRow } from './release.ts';
import { compareVersions } from './version.ts';

/** What everybody may know of a public fleet. */
export interface FleetPageData {
	slug: string;
	name: string;
	deviceType: string | undefined;
	architecture: string | undefined;
	trackedCommit: string | undefined;
	/** Final releases that can be pulled, newest first. */
	releases: PageRelease[];
}

export interface PageRelease {
	/** As the dashboard shows it. */
	version: string;
	/** What names exactly this release in a reference: its version, or its commit. */
	path: string;
	commit: string;
	/** Of its creation: `2026-11-23`. */
	date: string;
	images: PageImage[];
	/** Whether its makers took it back. It can be pulled all the same. */
	isInvalidated?: boolean;
}

export interface PageImage {
	service: string;
	digest: string | undefined;
	/** Bytes; 0 where nobody knows. */
	size: number;
}

/** How many releases a page lists. */
export const MAX_RELEASES = 30;

const PAGE_FIELDS = [...RELEASE_FIELDS, 'created_at', 'is_invalidated'];

/** @returns options for the resource `application`; `parseFleetPage` reads the rows */
export function fleetPageQuery(slug: string): Record<string, unknown> {
	return {
		$top: 1,
		$select: ['id', 'app_name', 'slug'],
		$filter: { slug },
		$expand: {
			is_for__device_type: { $select: ['slug', 'name'], $expand: { is_of__cpu_architecture: { $select: ['slug'] } } },
			should_be_running__release: { $select: ['id', 'commit'] },
			owns__release: {
				$top: MAX_RELEASES,
				$select: PAGE_FIELDS,
				$filter: { status: 'success', is_final: true },
				$expand: imagesWith([]),
				$orderby: [{ created_at: 'desc' }, { id: 'desc' }],
			},
		},
	};
}

/**
 * @returns options for the resource `release`: all that a reference can mean, if it can. `parseReleases` reads the rows, and
 * `parsePageReleases` the same ones
 */
export function pageReleaseQuery(reference: Pick<ReleaseReference, 'slug' | 'release'>): Record<string, unknown> | undefined {
	const query = releaseQuery(reference);
	return query && { ...query, $select: PAGE_FIELDS, $expand: imagesWith(['is_stored_at__image_location']) };
}

function imagesWith(fields: string[]): Record<string, unknown> {
	const image = {
		$select: ['id', 'content_hash', 'image_size', ...fields],
		$expand: { is_a_build_of__service: { $select: ['service_name'] } },
	};
	return { release_image: { $top: MAX_IMAGES, $select: ['id'], $expand: { image }, $orderby: [{ id: 'asc' }] } };
}

const text = z.string().max(1000);
const imageRow = z
	.object({
		content_hash: text.nullish(),
		// A big integer, which OData may write as a text.
		image_size: z.union([z.number().nonnegative(), z.string().regex(/^\d{1,18}$/)]).nullish(),
		is_a_build_of__service: z.array(z.object({ service_name: text })),
	})
	.transform((row): PageImage => ({
		service: row.is_a_build_of__service[0]?.service_name ?? '',
		digest: row.content_hash != null && isDigest(row.content_hash) ? row.content_hash : undefined,
		size: Number(row.image_size ?? 0),
	}));

const pageRow = releaseRow.and(
	z
		.object({
			created_at: text,
			is_invalidated: z.boolean().nullish(),
			release_image: z.array(z.object({ image: z.array(imageRow) })),
		})
		.transform((row) => ({
			date: row.created_at.slice(0, 10),
			images: row.release_image.flatMap(({ image }) => image).sort((a, b) => (a.service < b.service ? -1 : 1)),
			isInvalidated: row.is_invalidated === true,
		})),
);

/** @param path what names exactly this release */
function pageRelease(row: z.infer<typeof pageRow>, path: string): PageRelease {
	const { commit, date, images, isInvalidated } = row;
	return { version: versionOf(row), path, commit, date, images, ...(isInvalidated ? { isInvalidated } : {}) };
}

const fleetRow = z
	.object({
		slug: text,
		app_name: text,
		is_for__device_type: z
			.array(z.object({ name: text.nullish(), slug: text, is_of__cpu_architecture: z.array(z.object({ slug: text })).nullish() }))
			.nullish(),
		should_be_running__release: z.array(z.object({ commit: text })).nullish(),
		owns__release: z.array(pageRow),
	})
	.transform((row): FleetPageData => {
		const device = row.is_for__device_type?.[0];
		return {
			slug: row.slug,
			name: row.app_name,
			deviceType: device?.name ?? device?.slug,
			architecture: device?.is_of__cpu_architecture?.[0]?.slug,
			trackedCommit: row.should_be_running__release?.map(({ commit }) => commit).find(isName),
			releases: row.owns__release
				.map((release) => pageRelease(release, typable(release, isHighest(release, row.owns__release))))
				// What is shown is copied into shells: nothing that is no name may be.
				.filter(({ path }) => isName(path)),
		};
	});

/** @returns undefined where there is no such public fleet. @throws ZodError where the API's answer is not of the expected form */
export function parseFleetPage(rows: unknown): FleetPageData | undefined {
	return z.array(fleetRow).parse(rows)[0];
}

/** @returns releases in the order of the rows, named by their commits. @throws ZodError likewise */
export function parsePageReleases(rows: unknown): PageRelease[] {
	return z
		.array(pageRow)
		.parse(rows)
		.map((row) => pageRelease(row, row.commit));
}

/**
 * Whether a plain version means this release: of several revisions it means the highest, and the others can only be named by
 * their commits.
 */
function isHighest(row: ReleaseRow, releases: ReleaseRow[]): boolean {
	const isSame = ({ version }: ReleaseRow): boolean =>
		row.version !== undefined && version !== undefined && compareVersions(row.version, version) === 0;
	return releases.filter(isSame).every((other) => highestFirst(row, other) <= 0);
}
