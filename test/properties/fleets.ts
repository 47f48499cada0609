import fc, { type Arbitrary } from 'fast-check';
import type { Image, MatchedRelease, ReleaseRow } from '../../src/balena/release.ts';
import { parseVersion } from '../../src/balena/version.ts';
import { anyText, component, digest, repository } from './arbitraries.ts';

/* Releases of fleets, made of few values, so that names often meet them. */

export const core = fc.tuple(fc.nat(2), fc.nat(2), fc.nat(2)).map((parts) => parts.join('.'));
export const prerelease = fc.constantFrom('', '', '', '-rc.1', '-rc.9', '-rc.10', '-rev1', '-a-b');
export const commit = fc.string({ unit: fc.constantFrom('a', '1'), minLength: 6, maxLength: 9 });
const image: Arbitrary<Image> = fc.record({
	service: fc.oneof(component, anyText, fc.constantFrom('main', 'Main', 'db')),
	repository,
	digest: fc.option(digest, { nil: undefined }),
});
/** A release, final or a draft, that was built or not. */
export const candidate: Arbitrary<MatchedRelease> = fc
	.record({
		core,
		prerelease,
		commit,
		build: fc.constantFrom('', '', '+rev1', '+rev2', '+build5', '+x.y-z'),
		stamp: fc.constantFrom('', '', '1648554962021'),
		status: fc.constantFrom('success', 'failed', 'running'),
		images: fc.array(image, { maxLength: 3 }),
	})
	.map(({ core: numbers, prerelease: suffix, commit: hex, build, stamp, status, images }) => {
		const isFinal = stamp === '';
		const raw = isFinal ? numbers + suffix + build : `${numbers}${suffix}${suffix === '' ? '-' : '.'}${stamp}`;
		const revision = isFinal ? Number(/rev(\d)$/.exec(build)?.[1] ?? 0) : undefined;
		return { commit: hex, version: parseVersion(numbers + suffix), rawVersion: raw, revision, isFinal, status, images };
	});
export const candidates = fc.array(candidate, { maxLength: 8 });

/** A row as the API has it. */
export function apiRow({ commit: hex, version, rawVersion, revision, isFinal, status }: ReleaseRow): Record<string, unknown> {
	const { major, minor, patch, prerelease: suffix } = version!;
	return {
		commit: hex,
		semver_major: major,
		semver_minor: minor,
		semver_patch: patch,
		semver_prerelease: suffix,
		raw_version: rawVersion,
		revision: revision ?? null,
		is_final: isFinal,
		status,
	};
}
