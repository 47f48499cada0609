import { LRUCache } from 'lru-cache';
import type { Config } from '../../src/config.ts';
import { isDigest } from '../../src/registry/digest.ts';
import { isAcceptable, type Manifest } from '../../src/registry/manifest.ts';

/**
 * Manifests by repository and digest, and for a short time by tag. Only for tokens that are known to be accepted for the
 * repository, which who asks has to know.
 */
export class ManifestMemory {
	readonly #remembered: LRUCache<string, Manifest> | undefined;
	readonly #tagTtl: number;

	constructor({ MANIFEST_CACHE_BYTES, MANIFEST_TAG_TTL }: Pick<Config, 'MANIFEST_CACHE_BYTES' | 'MANIFEST_TAG_TTL'>) {
		this.#tagTtl = MANIFEST_TAG_TTL;
		this.#remembered =
			MANIFEST_CACHE_BYTES === 0
				? undefined
				: new LRUCache<string, Manifest>({
						maxSize: MANIFEST_CACHE_BYTES,
						ttlResolution: 0,
						sizeCalculation: ({ bytes, headers }, key) => bytes.length + JSON.stringify(headers ?? {}).length + key.length + 500,
					});
	}

	/** In bytes, about. */
	get size(): number {
		return this.#remembered?.size ?? 0;
	}

	/** @param item a tag or digest @param accept as `acceptedTypes` returned */
	recall(repository: string, item: string, accept: string | undefined): Manifest | undefined {
		if (!isDigest(item)) {
			return this.#remembered?.get(tagKey(repository, item, accept));
		}
		const manifest = this.find(repository, item);
		return manifest !== undefined && isAcceptable(accept, manifest.mediaType) ? manifest : undefined;
	}

	remember(manifest: Manifest, repository: string, item: string, accept: string | undefined): void {
		this.#remembered?.set(digestKey(repository, manifest.digest), manifest);
		if (!isDigest(item) && this.#tagTtl > 0) {
			this.#remembered?.set(tagKey(repository, item, accept), manifest, { ttl: this.#tagTtl });
		}
	}

	/**
	 * Notes that a tag is one of the remembered manifests, as the registry said without sending it: clients of containerd ask for
	 * a tag by HEAD only, and then by digest.
	 */
	noteTag(manifest: Manifest, repository: string, tag: string, accept: string | undefined): void {
		if (this.#tagTtl > 0 && isAcceptable(accept, manifest.mediaType)) {
			this.#remembered?.set(tagKey(repository, tag, accept), manifest, { ttl: this.#tagTtl });
		}
	}

	/** @returns a repository's manifest, whatever a client accepts */
	find(repository: string, digest: string): Manifest | undefined {
		return this.#remembered?.get(digestKey(repository, digest));
	}
}

function digestKey(repository: string, digest: string): string {
	return `${repository} ${digest}`;
}

/** A registry may answer one tag with different manifests, by what the client accepts. */
function tagKey(repository: string, tag: string, accept: string | undefined): string {
	return `${repository} ${tag} ${accept ?? ''}`;
}
