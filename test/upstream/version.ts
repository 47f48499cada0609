/** What the balena API makes of the version that a release is created with: the fields of a row that have to do with it. */
export interface VersionFields {
	semver: string;
	semver_major: number;
	semver_minor: number;
	semver_patch: number;
	semver_prerelease: string;
	semver_build: string;
	variant: string;
	revision: number | null;
	raw_version: string;
	version: {
		raw: string;
		build: string[];
		major: number;
		minor: number;
		patch: number;
		version: string;
		prerelease: (string | number)[];
	};
}

export interface GivenVersion {
	/** https://semver.org, with build metadata or without. */
	version: string;
	variant?: string | undefined;
	/** Of a final release: how many of its version there were before it. */
	revision?: number;
	/** Of a draft: the milliseconds at which it was made. Its revision is null. */
	stamp?: number;
}

const VERSION = /^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?$/;

/** @returns the fields as open-balena-api 49 answers them; test/contract has rows of its own. @throws Error for what is no version */
export function versionFields({ version, variant = '', revision = 0, stamp }: GivenVersion): VersionFields {
	const match = VERSION.exec(version);
	if (match === null) {
		throw new Error(`${version} is not a version`);
	}
	const [major, minor, patch] = match.slice(1, 4).map(Number) as [number, number, number];
	const [prerelease = '', build = ''] = match.slice(4);
	const core = `${major}.${minor}.${patch}`;
	const identifiers = [...(prerelease === '' ? [] : prerelease.split('.')), ...(stamp === undefined ? [] : [stamp])];
	const plain = identifiers.length === 0 ? core : `${core}-${identifiers.join('.')}`;
	// A revision counts beside build metadata of the maker's own only where that does not say it already.
	const counted = stamp === undefined && revision > 0 && build !== `rev${revision}` ? [`rev${revision}`] : [];
	const builds = [...(build === '' ? [] : build.split('.')), ...(variant === '' ? [] : [variant]), ...counted];
	const raw = builds.length === 0 ? plain : `${plain}+${builds.join('.')}`;
	return {
		semver: `${core}${prerelease === '' ? '' : `-${prerelease}`}${build === '' ? '' : `+${build}`}`,
		semver_major: major,
		semver_minor: minor,
		semver_patch: patch,
		semver_prerelease: prerelease,
		semver_build: build,
		variant,
		revision: stamp === undefined ? revision : null,
		raw_version: raw,
		version: { raw, build: builds, major, minor, patch, version: plain, prerelease: identifiers },
	};
}
