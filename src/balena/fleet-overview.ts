import { z } from 'zod';
import { isDigest } from '../registry/digest.ts';
import { isName } from '../registry/name.ts';
import type { ReleaseReference } from './reference.ts';
import { releaseQuery } from './release-query.ts';

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

const RELEASE_FIELDS = ['id', 'commit', 'semver', 'raw_version', 'revision', 'created_at', 'is_invalidated'];

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
				$select: RELEASE_FIELDS,
				$filter: { status: 'success', is_final: true },
				$expand: imagesWith([]),
				$orderby: [{ created_at: 'desc' }, { id: 'desc' }],
			},
		},
	};
}

/** @returns options for the resource `release`: all that a reference can mean. `parseReleases` reads the rows, and `parsePageReleases` the same ones */
export function pageReleaseQuery(reference: Pick<ReleaseReference, 'slug' | 'release'>): Record<string, unknown> {
	const query = releaseQuery(reference);
	return {
		...query,
		$select: [...new Set([...(query['$select'] as string[]), ...RELEASE_FIELDS])],
		$expand: imagesWith(['is_stored_at__image_location']),
	};
}

function imagesWith(fields: string[]): Record<string, unknown> {
	const image = {
		$select: ['id', 'content_hash', 'image_size', ...fields],
		$expand: { is_a_build_of__service: { $select: ['service_name'] } },
	};
	return { release_image: { $select: ['id'], $expand: { image } } };
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

const releaseRow = z
	.object({
		commit: text,
		semver: text,
		raw_version: text.nullish(),
		revision: z.number().nullish(),
		created_at: text,
		is_invalidated: z.boolean().nullish(),
		release_image: z.array(z.object({ image: z.array(imageRow) })),
	})
	.transform((row): PageRelease & { semver: string; revision: number } => ({
		version: row.raw_version ?? row.semver,
		semver: row.semver,
		revision: row.revision ?? 0,
		path: row.commit,
		commit: row.commit,
		date: row.created_at.slice(0, 10),
		images: row.release_image.flatMap(({ image }) => image).sort((a, b) => (a.service < b.service ? -1 : 1)),
		...(row.is_invalidated === true ? { isInvalidated: true } : {}),
	}));

const fleetRow = z
	.object({
		slug: text,
		app_name: text,
		is_for__device_type: z
			.array(z.object({ name: text.nullish(), slug: text, is_of__cpu_architecture: z.array(z.object({ slug: text })).nullish() }))
			.nullish(),
		should_be_running__release: z.array(z.object({ commit: text })).nullish(),
		owns__release: z.array(releaseRow),
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
				.map(({ semver, revision, ...release }) => ({
					...release,
					path: isHighest(semver, revision, row.owns__release) ? semver : release.commit,
				}))
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
		.array(releaseRow)
		.parse(rows)
		.map(({ semver: _semver, revision: _revision, ...release }) => release);
}

/** Whether a plain version means this release: of several revisions it means the highest, and the others can only be named by their commits. */
function isHighest(semver: string, revision: number, releases: { semver: string; revision: number }[]): boolean {
	return isName(semver) && releases.every((other) => other.semver !== semver || other.revision <= revision);
}
