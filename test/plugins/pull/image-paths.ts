import type { ImageSummary } from '../../upstream/index.ts';

/** @returns all that a pull of an image asks for by digest, below a name: manifests, configs and layers of all its platforms */
export function imagePaths({ digest, platforms }: Pick<ImageSummary, 'digest' | 'platforms'>): string[] {
	return [
		`manifests/${digest}`,
		...platforms.flatMap((platform) => [
			`manifests/${platform.digest}`,
			...[platform.configDigest, ...platform.layers.map((layer) => layer.digest)].map((blob) => `blobs/${blob}`),
		]),
	];
}
