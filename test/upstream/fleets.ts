import { createHash } from 'node:crypto';
import { versionFields } from './version.ts';

/*
 * The sample fleets: what the stand-in's API lists and its registry stores. Everything derived (commits, hashes, digests) is the same on
 * every start.
 */

/** How a service's image is packaged. `index-*` are multi-arch, linux/amd64 and linux/arm64. */
export type Packaging = 'docker' | 'oci' | 'index-docker' | 'index-oci' | 'with-referrer' | 'large';

/** What an image is for, as a platform says it after `linux/`. */
export type Architecture = 'amd64' | 'arm64' | 'arm/v7' | 'arm/v6' | '386';

export interface SampleRelease {
	/** What it was made with: the API's `semver`. */
	version: string;
	variant?: string;
	/** What the dashboard shows, the API's `raw_version`: the version, with `+rev<n>` from revision 1 on, or with a draft's build stamp. */
	rawVersion: string;
	/** Null for drafts. */
	revision: number | null;
	/** Of drafts only: when they were made, in milliseconds. */
	stamp?: number;
	commit: string;
	isFinal: boolean;
	status: 'success' | 'failed' | 'running';
	isInvalidated: boolean;
	services: string[];
	packaging: Packaging;
	/** What its images are for, where that is not linux/amd64; those that are an index have a platform for each. */
	architecture?: Architecture;
	/** Fields of its row that are not as every sample release has them. */
	row?: Record<string, unknown>;
	/** Those of its images' rows, in the order of the services. */
	imageRows?: Record<string, unknown>[];
}

export interface SampleFleet {
	slug: string;
	isPublic: boolean;
	deviceType: keyof typeof DEVICE_TYPES;
	/** Raw version of the release that the fleet tracks or is pinned to. */
	target: string | undefined;
	isPinned: boolean;
	class?: string;
	releases: SampleRelease[];
}

/** Device type -> CPU architecture. */
export const DEVICE_TYPES = {
	'generic-amd64': 'amd64',
	'generic-aarch64': 'aarch64',
	'raspberrypi4-64': 'aarch64',
	raspberrypi3: 'armv7hf',
	'raspberry-pi': 'rpi',
	qemux86: 'i386',
} as const;

/** @returns the sample fleets. `withLarge` adds `acme/large`, whose one layer is big. */
export function sampleFleets({ withLarge = false } = {}): SampleFleet[] {
	return [
		fleet('balenalabs/browser-aarch64', 'public', {
			deviceType: 'generic-aarch64',
			target: '2.4.0',
			releases: [
				final('1.9.3'),
				final('1.10.0', { packaging: 'oci' }),
				// Two commits with the same first 7 hex digits.
				final('2.1.0', { commit: 'c0ffee11d0a94be2b7f3a5c6d7e8f901' }),
				final('2.1.1', { commit: 'c0ffee15a2b34c45d56e67f78091a2b3' }),
				final('2.2.0', { isInvalidated: true }),
				final('2.3.8'),
				final('2.3.8', { revision: 1 }),
				final('2.3.8', { revision: 2 }),
				final('2.4.0'),
				draft('2.4.1', 1648554962021),
				final('2.5.0', { status: 'failed' }),
				final('2.6.0', { status: 'running' }),
			],
		}),
		fleet('acme/multi-arch', 'public', {
			target: '1.1.0',
			releases: [final('1.0.0', { packaging: 'index-docker' }), final('1.1.0', { packaging: 'index-oci' })],
		}),
		fleet('acme/several', 'public', {
			target: '1.1.0',
			releases: [final('1.0.0', { services: ['main', 'db', 'proxy'] }), final('1.1.0', { services: ['main', 'db', 'proxy'] })],
		}),
		fleet('acme/pinned', 'public', { target: '1.1.0', isPinned: true, releases: [final('1.0.0'), final('1.1.0'), final('1.2.0')] }),
		// For tests that change a fleet while the stand-in runs.
		fleet('acme/changing', 'public', { target: '1.0.0', releases: [final('1.0.0'), final('1.1.0')] }),
		fleet('acme/empty', 'public', { target: undefined, releases: [] }),
		fleet('acme/secret', 'private', {
			target: '1.1.0',
			releases: [final('1.0.0'), final('1.1.0', { packaging: 'oci' }), draft('1.2.0', 1700000000000)],
		}),
		fleet('acme/secret-several', 'private', { target: '1.0.0', releases: [final('1.0.0', { services: ['main', 'worker'] })] }),
		fleet('acme/signed', 'public', { target: '1.0.0', releases: [final('1.0.0', { packaging: 'with-referrer' })] }),
		// Versions that are more than three numbers, and orders that are not those of texts or times.
		fleet('acme/versions', 'public', {
			target: '4.0.0-beta.2',
			releases: [
				final('3.0.0-rc.1'),
				final('3.0.0'),
				final('3.1.0+build5'),
				final('4.0.0-beta.2'),
				draft('4.0.0-beta.2', 1795641837460),
				final('5.0.0'),
				final('5.0.0+rev1', { revision: 1 }),
				final('5.1.0', { variant: 'dev' }),
				final('5.2.0-rc.10'),
				final('5.2.0-rc.9'),
			],
		}),
		// A block: a fleet for each architecture, of which one is private; and one that has moved to another organisation.
		fleet('acme/display-aarch64', 'public', {
			deviceType: 'raspberrypi4-64',
			target: '1.1.0',
			releases: [final('1.0.0', { architecture: 'arm64' }), final('1.1.0', { architecture: 'arm64' })],
		}),
		fleet('acme/display-amd64', 'public', { target: '1.1.0', releases: [final('1.0.0'), final('1.1.0')] }),
		fleet('acme/display-armv7hf', 'public', {
			deviceType: 'raspberrypi3',
			target: '1.0.0',
			releases: [final('1.0.0', { architecture: 'arm/v7' })],
		}),
		fleet('acme/display-rpi', 'private', {
			deviceType: 'raspberry-pi',
			target: '1.0.0',
			releases: [final('1.0.0', { architecture: 'arm/v6' })],
		}),
		// One of whose releases one is an index itself, and to one of which something refers; and one with several services.
		fleet('acme/gauge-amd64', 'public', { target: '1.0.0', releases: [final('1.0.0', { packaging: 'index-oci' })] }),
		fleet('acme/gauge-armv7hf', 'public', {
			deviceType: 'raspberrypi3',
			target: '1.0.0',
			releases: [final('1.0.0', { packaging: 'with-referrer', architecture: 'arm/v7' })],
		}),
		...(['amd64', 'aarch64'] as const).map((name) =>
			fleet(`acme/several-parts-${name}`, 'public', { target: '1.0.0', releases: [final('1.0.0', { services: ['main', 'db'] })] }),
		),
		// One of which nobody sees any but its owners.
		fleet('acme/veiled-amd64', 'private', { target: '1.0.0', releases: [final('1.0.0')] }),
		fleet('acme/veiled-aarch64', 'private', {
			deviceType: 'generic-aarch64',
			target: '1.0.0',
			releases: [final('1.0.0', { architecture: 'arm64' })],
		}),
		fleet('balenalabs/display-aarch64', 'public', { deviceType: 'raspberrypi4-64', target: '1.1.0', releases: [final('1.1.0')] }),
		...(withLarge ? [fleet('acme/large', 'public', { target: '1.0.0', releases: [final('1.0.0', { packaging: 'large' })] })] : []),
	];
}

export type Draft = Omit<SampleRelease, 'commit'> & { commit: string | undefined };

export function final(version: string, options: Partial<SampleRelease> = {}): Draft {
	const { revision = 0, variant } = options;
	return {
		version,
		rawVersion: versionFields({ version, variant, revision: revision ?? 0 }).raw_version,
		isFinal: true,
		...defaults,
		...options,
		revision,
		commit: options.commit,
	};
}

export function draft(version: string, stamp: number): Draft {
	const { raw_version: rawVersion } = versionFields({ version, stamp });
	return { version, rawVersion, isFinal: false, ...defaults, revision: null, stamp, commit: undefined };
}

const defaults = { status: 'success', isInvalidated: false, services: ['main'] as string[], packaging: 'docker' } as const;

export function fleet(
	slug: string,
	visibility: 'public' | 'private',
	{
		deviceType = 'generic-amd64',
		isPinned = false,
		target,
		releases,
	}: { deviceType?: SampleFleet['deviceType']; isPinned?: boolean; target: string | undefined; releases: Draft[] },
): SampleFleet {
	return {
		slug,
		isPublic: visibility === 'public',
		deviceType,
		target,
		isPinned,
		releases: releases.map((release) => ({ ...release, commit: release.commit ?? hexOf(`commit of ${slug} ${release.rawVersion}`) })),
	};
}

/** @returns the repository of a service's image in the upstream registry: `v2/<hash>`. */
export function repositoryOf(slug: string, rawVersion: string, service: string): string {
	return `v2/${hexOf(`image of ${slug} ${rawVersion} ${service}`)}`;
}

/** Commits and hashes of the real API have 32 hex digits. */
export function hexOf(text: string): string {
	return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
