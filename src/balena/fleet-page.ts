import { z } from 'zod';
import { isDigest } from '../registry/digest.ts';
import { isName } from '../registry/name.ts';

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
}

export interface PageImage {
	service: string;
	digest: string | undefined;
	/** Bytes; 0 where nobody knows. */
	size: number;
}

const MAX_RELEASES = 30;

/** @returns options for the resource `application`; `parseFleetPage` reads the rows */
export function fleetPageQuery(slug: string): Record<string, unknown> {
	const image = { $select: ['id', 'content_hash', 'image_size'], $expand: { is_a_build_of__service: { $select: ['service_name'] } } };
	return {
		$top: 1,
		$select: ['id', 'app_name', 'slug'],
		$filter: { slug },
		$expand: {
			is_for__device_type: { $select: ['slug', 'name'], $expand: { is_of__cpu_architecture: { $select: ['slug'] } } },
			should_be_running__release: { $select: ['id', 'commit'] },
			owns__release: {
				$top: MAX_RELEASES,
				$select: ['id', 'commit', 'semver', 'raw_version', 'revision', 'created_at'],
				$filter: { status: 'success', is_final: true },
				$expand: { release_image: { $select: ['id'], $expand: { image } } },
				$orderby: [{ created_at: 'desc' }, { id: 'desc' }],
			},
		},
	};
}

const text = z.string().max(1000);
const imageRow = z
	.object({
		content_hash: text.nullish(),
		// A big integer, which OData may write as a text.
		image_size: z.union([z.number(), z.string().regex(/^\d{1,18}$/)]).nullish(),
		is_a_build_of__service: z.array(z.object({ service_name: text })),
	})
	.transform((row): PageImage => ({
		service: row.is_a_build_of__service[0]?.service_name ?? '',
		digest: row.content_hash != null && isDigest(row.content_hash) ? row.content_hash : undefined,
		size: Number(row.image_size ?? 0),
	}));

const releaseRow = z
	.object({ commit: text, semver: text, raw_version: text.nullish(), revision: z.number().nullish(), created_at: text, release_image: z.array(z.object({ image: z.array(imageRow) })) })
	.transform((row): PageRelease & { semver: string; revision: number } => ({
		version: row.raw_version ?? row.semver,
		semver: row.semver,
		revision: row.revision ?? 0,
		path: row.commit,
		commit: row.commit,
		date: row.created_at.slice(0, 10),
		images: row.release_image.flatMap(({ image }) => image).sort((a, b) => (a.service < b.service ? -1 : 1)),
	}));

const fleetRow = z
	.object({
		slug: text,
		app_name: text,
		is_for__device_type: z.array(z.object({ name: text.nullish(), slug: text, is_of__cpu_architecture: z.array(z.object({ slug: text })).nullish() })).nullish(),
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
			trackedCommit: row.should_be_running__release?.[0]?.commit,
			releases: row.owns__release.map(({ semver, revision, ...release }) => ({ ...release, path: isHighest(semver, revision, row.owns__release) ? semver : release.commit })),
		};
	});

/** @returns undefined where there is no such public fleet. @throws ZodError where the API's answer is not of the expected form */
export function parseFleetPage(rows: unknown): FleetPageData | undefined {
	return z.array(fleetRow).parse(rows)[0];
}

/** Whether a plain version means this release: of several revisions it means the highest, and the others can only be named by their commits. */
function isHighest(semver: string, revision: number, releases: { semver: string; revision: number }[]): boolean {
	return isName(semver) && releases.every((other) => other.semver !== semver || other.revision <= revision);
}
