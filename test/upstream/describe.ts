import { repositoryOf, type SampleFleet, type SampleRelease } from './fleets.ts';
import type { ImageSummary, RepositoryContent } from './image.ts';
import { SAMPLE_KEYS, type Keys } from './keys.ts';

/** All that a test or the demo has to know of a stand-in that runs: plain data, so that it can travel between processes as JSON. */
export interface Upstream {
	/** For API_URL, without a slash at the end. */
	apiUrl: string;
	/** For REGISTRY_URL. */
	registryUrl: string;
	/** For REGISTRY2_HOST: the `service` of challenges, `aud` of tokens and the beginning of image locations. On purpose not the host of `registryUrl`. */
	service: string;
	registry: 'embedded' | 'docker-registry' | 'distribution';
	/** PEM file of who has signed the registry's certificate, where it speaks TLS: distribution only. */
	caFile?: string | undefined;
	keys: Keys;
	/** By slug. */
	fleets: Record<string, UpstreamFleet>;
}

export interface UpstreamFleet {
	slug: string;
	isPublic: boolean;
	isPinned: boolean;
	/** Raw version of the release that it tracks or is pinned to. */
	target: string | undefined;
	/** By raw version, for example `2.3.8+rev1`. */
	releases: Record<string, UpstreamRelease>;
}

export interface UpstreamRelease extends Omit<SampleRelease, 'services' | 'packaging'> {
	/** By service name. */
	images: Record<string, UpstreamImage>;
}

/** `summary` is missing where nothing has been pushed yet. */
export interface UpstreamImage {
	/** `v2/<hash>` */
	repository: string;
	summary: ImageSummary | undefined;
}

export function describe(
	fleets: SampleFleet[],
	images: ReadonlyMap<string, RepositoryContent>,
	where: Pick<Upstream, 'apiUrl' | 'registryUrl' | 'service' | 'registry' | 'caFile'>,
): Upstream {
	const imageOf = (slug: string, rawVersion: string, service: string): UpstreamImage => {
		const repository = repositoryOf(slug, rawVersion, service);
		return { repository, summary: images.get(repository)?.summary };
	};
	const releaseOf = (slug: string, { services, packaging: _, ...release }: SampleRelease): UpstreamRelease => ({
		...release,
		images: Object.fromEntries(services.map((service) => [service, imageOf(slug, release.rawVersion, service)])),
	});
	const fleetOf = ({ slug, isPublic, isPinned, target, releases }: SampleFleet): UpstreamFleet => ({
		slug,
		isPublic,
		isPinned,
		target,
		releases: Object.fromEntries(releases.map((release) => [release.rawVersion, releaseOf(slug, release)])),
	});
	return {
		...where,
		keys: Object.fromEntries(Object.entries(SAMPLE_KEYS).map(([name, { key }]) => [name, key])) as Keys,
		fleets: Object.fromEntries(fleets.map((fleet) => [fleet.slug, fleetOf(fleet)])),
	};
}
