import type { MatchedRelease, ReleaseRow } from '../../src/balena/release.ts';
import { parseVersion } from '../../src/balena/version.ts';

/** `2.4.1-1648554962021`, and `4.0.0-beta.2.1648554962021`: what a draft has behind its version. */
const STAMP = /[-.](\d{13}|(?<=\.\d+-)\d+)(?=$|\+)/;
const REVISION = /\+rev(\d+)$/;

/** @returns a release as it is read from the API, made from its raw version alone: one with a stamp is a draft */
export function rowOf(rawVersion: string, change: Partial<ReleaseRow> = {}): ReleaseRow {
	const isFinal = change.isFinal ?? !STAMP.test(rawVersion);
	return {
		commit: `c0ffee${rawVersion}`,
		version: parseVersion(rawVersion.replace(STAMP, '').replace(/\+.*/, '')),
		rawVersion,
		revision: isFinal ? Number(REVISION.exec(rawVersion)?.[1] ?? 0) : undefined,
		isFinal,
		status: 'success',
		...change,
	};
}

/** @returns the same with images, one for each service */
export function matchedRow(rawVersion: string, change: Partial<MatchedRelease> = {}): MatchedRelease {
	return { images: [], ...rowOf(rawVersion, change), ...change };
}
