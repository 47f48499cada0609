import { z } from 'zod';
import { isDigest } from '../registry/digest.ts';
import { isRepository } from '../registry/name.ts';
import type { Release } from './reference.ts';

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
	/** `major.minor.patch`, the same for all revisions and for drafts of that version. */
	semver: string;
	/** What the dashboard shows: with the revision, or a draft's build stamp. */
	rawVersion: string;
	isFinal: boolean;
	status: string;
}

export interface MatchedRelease extends ReleaseRow {
	major: number | undefined;
	minor: number | undefined;
	images: Image[];
}

const text = z.string().max(1000);
const releaseRow = z
	.object({
		commit: text,
		semver: text.nullish(),
		raw_version: text.nullish(),
		is_final: z.boolean().nullish(),
		status: text,
	})
	.transform((row): ReleaseRow => ({
		commit: row.commit,
		semver: row.semver ?? '',
		rawVersion: row.raw_version ?? row.semver ?? '',
		isFinal: row.is_final ?? false,
		status: row.status,
	}));

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

const matchedRow = releaseRow.and(
	z
		.object({
			semver_major: z.number().nullish(),
			semver_minor: z.number().nullish(),
			release_image: z.array(z.object({ image: z.array(imageRow) })),
		})
		.transform((row) => ({
			major: row.semver_major ?? undefined,
			minor: row.semver_minor ?? undefined,
			images: row.release_image.flatMap(({ image }) => image).filter(({ repository }) => isRepository(repository)),
		})),
);

const fleetRow = z.object({
	should_be_running__release: z.array(releaseRow).nullish(),
	owns__release: z.array(releaseRow),
});

/** What a fleet has, for the sentence that explains a failure. */
export interface Fleet {
	tracked: ReleaseRow | undefined;
	releases: ReleaseRow[];
}

/** @throws ZodError where the API's answer is not of the expected form */
export function parseReleases(rows: unknown): MatchedRelease[] {
	return z.array(matchedRow).parse(rows);
}

/** @returns undefined where the fleet does not exist or is not visible to the caller. @throws ZodError as above. */
export function parseFleet(rows: unknown): Fleet | undefined {
	const [row] = z.array(fleetRow).parse(rows);
	return row === undefined ? undefined : { tracked: row.should_be_running__release?.[0], releases: row.owns__release };
}

/** @returns what a person calls the release: its version as the dashboard shows it, or its commit where it has none. */
export function versionOf(release: ReleaseRow): string {
	return release.rawVersion === '' ? release.commit : release.rawVersion;
}

export type Match = { kind: 'one'; release: MatchedRelease } | { kind: 'ambiguous'; releases: MatchedRelease[] } | { kind: 'none' };

/**
 * Picks the release that a text means from all that it can mean. The first form that matches wins, so that exact names always beat
 * abbreviations: commit, version (final, highest revision), raw version, the same without a leading "v", commit prefix, major or major.minor.
 *
 * @param candidates rows of `releaseQuery`, highest version and revision first
 * @param release undefined for the tracked release, of which there is at most one
 */
export function matchRelease(candidates: MatchedRelease[], release: Release | undefined): Match {
	if (release === undefined) {
		return first(candidates);
	}
	const { text, versions, commit, series } = release;
	const exactForms: ((row: MatchedRelease) => boolean)[] = [
		(row) => row.commit === text,
		...versions.flatMap((version) => [
			(row: MatchedRelease) => row.isFinal && row.semver === version,
			(row: MatchedRelease) => row.rawVersion === version,
		]),
	];
	for (const form of exactForms) {
		const match = first(candidates.filter(form));
		if (match.kind === 'one') {
			return match;
		}
	}
	const sameCommitPrefix = commit === undefined ? [] : candidates.filter((row) => row.commit.startsWith(commit));
	if (new Set(sameCommitPrefix.map((row) => row.commit)).size > 1) {
		return { kind: 'ambiguous', releases: sameCommitPrefix };
	}
	if (sameCommitPrefix.length > 0) {
		return first(sameCommitPrefix);
	}
	return series === undefined
		? { kind: 'none' }
		: first(
				candidates.filter((row) => row.isFinal && row.major === series.major && (series.minor === undefined || row.minor === series.minor)),
			);
}

function first(releases: MatchedRelease[]): Match {
	return releases[0] === undefined ? { kind: 'none' } : { kind: 'one', release: releases[0] };
}

const versionsRow = z.object({ owns__release: z.array(z.object({ semver: text })) });

/** @returns a fleet's versions, without repetitions; undefined where the fleet is not there for the caller. @throws ZodError likewise */
export function parseVersions(rows: unknown): string[] | undefined {
	const [row] = z.array(versionsRow).parse(rows);
	return row && [...new Set(row.owns__release.map((release) => release.semver))];
}
