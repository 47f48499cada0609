import { z } from 'zod';
import { isDigest } from '../registry/digest.ts';
import { isRepository } from '../registry/name.ts';
import type { ReleaseReference } from './reference.ts';
import { formsOf } from './release-forms.ts';
import { compareVersions, formatVersion, parseVersion, type Version } from './version.ts';

/** One service's image of a release, as the upstream registry has it. */
export interface Image {
	service: string;
	/** `v2/<hash>` */
	repository: string;
	/** Digest of the image's manifest; undefined where the API does not know it. */
	digest: string | undefined;
}

/** What the API says of a release. Rows are checked when they come in, because parts of them end up in URLs and sentences. */
export interface ReleaseRow {
	commit: string;
	/** The same for all revisions and for drafts of that version, without build metadata. Undefined for a release that has none. */
	version: Version | undefined;
	/** What the dashboard shows: with the revision, other build metadata, or a draft's build stamp. */
	rawVersion: string;
	/** Undefined for drafts. */
	revision: number | undefined;
	isFinal: boolean;
	status: string;
}

export interface MatchedRelease extends ReleaseRow {
	images: Image[];
}

/** What is asked of a release for a `ReleaseRow`. Its `semver` is not: that has build metadata, and not in all releases. */
export const RELEASE_FIELDS = [
	'id',
	'commit',
	'semver_major',
	'semver_minor',
	'semver_patch',
	'semver_prerelease',
	'raw_version',
	'revision',
	'is_final',
	'status',
] as const;

const text = z.string().max(1000);
const number = z.int().nonnegative();
const versionFields = z.object({
	semver_major: number.nullish(),
	semver_minor: number.nullish(),
	semver_patch: number.nullish(),
	semver_prerelease: text.nullish(),
});

/** @returns the version in a row's fields, if it has one */
function versionIn(row: z.infer<typeof versionFields>): Version | undefined {
	const { semver_major: major, semver_minor: minor, semver_patch: patch, semver_prerelease: prerelease } = row;
	// What cannot be typed is no version here: it would be suggested, and listed as a tag.
	return major == null || minor == null || patch == null
		? undefined
		: parseVersion(formatVersion({ major, minor, patch, prerelease: prerelease ?? '' }));
}

/** Reads what `RELEASE_FIELDS` asks for, for rows that are more. */
export const releaseRow = versionFields
	.extend({
		commit: text,
		raw_version: text.nullish(),
		revision: number.nullish(),
		is_final: z.boolean().nullish(),
		status: text,
	})
	.transform((row): ReleaseRow => {
		const version = versionIn(row);
		return {
			commit: row.commit,
			version,
			rawVersion: row.raw_version ?? (version === undefined ? '' : formatVersion(version)),
			revision: row.revision ?? undefined,
			isFinal: row.is_final ?? false,
			status: row.status,
		};
	});

const imageRow = z
	.object({
		is_stored_at__image_location: text,
		content_hash: text.nullish(),
		is_a_build_of__service: z.array(z.object({ service_name: text })),
	})
	.transform((row): Image => ({
		service: row.is_a_build_of__service[0]?.service_name ?? '',
		// `<registry host>/v2/<hash>`: the host is configuration's to say, not the API's.
		repository: row.is_stored_at__image_location.replace(/^[^/]*\//, ''),
		digest: row.content_hash != null && isDigest(row.content_hash) ? row.content_hash : undefined,
	}));

/** A release with its images. */
export const matchedRow = releaseRow.and(
	z.object({ release_image: z.array(z.object({ image: z.array(imageRow) })) }).transform((row) => ({
		images: row.release_image.flatMap(({ image }) => image).filter(({ repository }) => isRepository(repository)),
	})),
);

/** @throws ZodError where the API's answer is not of the expected form */
export function parseReleases(rows: unknown): MatchedRelease[] {
	return z.array(matchedRow).parse(rows);
}

/** @returns releases without their images. @throws ZodError as above */
export function parseRows(rows: unknown): ReleaseRow[] {
	return z.array(releaseRow).parse(rows);
}

/** @returns what a person calls the release: its version as the dashboard shows it, or its commit where it has none. */
export function versionOf(release: ReleaseRow): string {
	return release.rawVersion === '' ? release.commit : release.rawVersion;
}

export type Match = { kind: 'one'; release: MatchedRelease } | { kind: 'ambiguous'; releases: MatchedRelease[] } | { kind: 'none' };

/**
 * Picks the release that a text means from all that it can mean. The first form that matches wins: docs/request-handling.md lists them.
 *
 * @param candidates rows of `releaseQuery`, in any order
 * @param release the text; undefined for the tracked release, of which there is at most one
 */
export function matchRelease(candidates: MatchedRelease[], release: string | undefined): Match {
	if (release === undefined) {
		return candidates[0] === undefined ? { kind: 'none' } : { kind: 'one', release: candidates[0] };
	}
	for (const { matches, ofSeveral } of formsOf(release)) {
		const releases = candidates.filter(matches).sort(highestFirst);
		if (ofSeveral === 'ambiguous' && new Set(releases.map(({ commit }) => commit)).size > 1) {
			return { kind: 'ambiguous', releases };
		}
		if (releases[0] !== undefined) {
			return { kind: 'one', release: releases[0] };
		}
	}
	return { kind: 'none' };
}

type Ranked = Pick<ReleaseRow, 'version' | 'isFinal' | 'revision' | 'rawVersion'>;

/**
 * Orders releases by https://semver.org, section 11, and those of one version by revision. The API cannot: it compares
 * prereleases as texts. Of one revision, final ones come before drafts and plain ones before variants, which have build metadata.
 */
export function highestFirst(a: Ranked, b: Ranked): number {
	if (a.version === undefined || b.version === undefined) {
		return Number(a.version === undefined) - Number(b.version === undefined);
	}
	return (
		compareVersions(b.version, a.version) ||
		Number(b.isFinal) - Number(a.isFinal) ||
		(b.revision ?? 0) - (a.revision ?? 0) ||
		Number(a.rawVersion.includes('+')) - Number(b.rawVersion.includes('+'))
	);
}

/** @returns the image that is meant among a release's. Undefined where there is none, or several: `chooseService` says which there are. */
export function pickImage({ service }: Pick<ReleaseReference, 'service'>, { images }: MatchedRelease): Image | undefined {
	// Repository names are lower case, service names need not be.
	const named = service === undefined ? images : images.filter((image) => image.service.toLowerCase() === service);
	return named.length === 1 ? named[0] : undefined;
}

const listedRow = versionFields
	.extend({ id: number, raw_version: text.nullish(), revision: number.nullish(), release_image: number })
	.transform((row) => ({
		id: row.id,
		version: versionIn(row),
		rawVersion: row.raw_version ?? '',
		revision: row.revision ?? undefined,
		isFinal: true,
		images: row.release_image,
	}));
const versionsRow = z.object({ owns__release: z.array(listedRow) });

export type ListedRelease = z.infer<typeof listedRow>;

/** @returns releases for a list of versions; undefined where the fleet is not there for the caller. @throws ZodError likewise */
export function parseListed(rows: unknown): ListedRelease[] | undefined {
	return z.array(versionsRow).parse(rows)[0]?.owns__release;
}

/**
 * @param releases all of a fleet's that are final
 * @returns their versions as they can be typed, without repetitions. A version whose highest revision has several images, or
 * none, is left out: alone, it cannot be pulled.
 */
export function versionsOf(releases: readonly ListedRelease[]): string[] {
	const images = new Map<string, number>();
	for (const release of [...releases].sort(highestFirst)) {
		const version = release.version && formatVersion(release.version);
		if (version !== undefined && !images.has(version)) {
			images.set(version, release.images);
		}
	}
	return [...images].flatMap(([version, count]) => (count === 1 ? [version] : []));
}
