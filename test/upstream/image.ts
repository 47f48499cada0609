import { createCipheriv, createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { Architecture, Packaging } from './fleets.ts';
import { program } from './program.ts';
import { tar } from './tar.ts';

/** A manifest or index as it lies in a registry. */
export interface Manifest {
	digest: string;
	mediaType: string;
	bytes: Buffer;
}

/** Everything that one repository holds. */
export interface RepositoryContent {
	blobs: Map<string, Buffer>;
	/** In the order in which they can be pushed: children before the index that lists them. */
	manifests: Manifest[];
	/** Tag -> digest. */
	tags: Record<string, string>;
	/** What the tests are told. */
	summary: ImageSummary;
}

export interface ImageSummary {
	/** Digest of what the tag `latest` means: the API's `content_hash`. */
	digest: string;
	mediaType: string;
	/** One for a single image, one per platform for an index. */
	platforms: { platform: string; digest: string; configDigest: string; layers: { digest: string; size: number }[] }[];
	/** Digest of the artifact whose `subject` is the image, and the fallback tag that lists it, where there is one. */
	referrer?: { digest: string; artifactType: string; fallbackTag: string };
}

const DOCKER = {
	manifest: 'application/vnd.docker.distribution.manifest.v2+json',
	index: 'application/vnd.docker.distribution.manifest.list.v2+json',
	config: 'application/vnd.docker.container.image.v1+json',
	layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
};
const OCI = {
	manifest: 'application/vnd.oci.image.manifest.v1+json',
	index: 'application/vnd.oci.image.index.v1+json',
	config: 'application/vnd.oci.image.config.v1+json',
	layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
};
const ARTIFACT_TYPE = 'application/vnd.example.signature.v1+json';
const CREATED = '2022-03-29T11:56:02.021Z';
const FILLER_SIZE = 96 * 1024;

/**
 * Builds a small, real, runnable image: its program prints `name`.
 *
 * @param name what is in the image, for example `acme/several 1.0.0 db`
 * @param largeMegabytes size of the layer of a `large` image
 * @param only what it is for, where it is no index; its program runs on amd64 and arm64 alone
 */
export function buildImage(name: string, packaging: Packaging, largeMegabytes = 100, only: Architecture = 'amd64'): RepositoryContent {
	const blobs = new Map<string, Buffer>();
	const manifests: Manifest[] = [];
	const types = packaging === 'docker' || packaging === 'index-docker' ? DOCKER : OCI;
	const fillerSize = packaging === 'large' ? largeMegabytes * 1_000_000 : FILLER_SIZE;
	const isIndex = packaging === 'index-docker' || packaging === 'index-oci';

	const addBlob = (mediaType: string, bytes: Buffer): Descriptor => {
		const digest = digestOf(bytes);
		blobs.set(digest, bytes);
		return { mediaType, size: bytes.length, digest };
	};
	const addManifest = (mediaType: string, content: object): Descriptor => {
		const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...content }, null, '\t'));
		const digest = digestOf(bytes);
		manifests.push({ digest, mediaType, bytes });
		return { mediaType, size: bytes.length, digest };
	};

	const platforms = (isIndex ? (['amd64', 'arm64'] as const) : [only]).map((architecture) => {
		const archive = tar([
			{ path: 'hello', content: program(architecture === 'arm64' ? 'arm64' : 'amd64', `${name}\n`), mode: 0o755 },
			{ path: 'etc/image-name', content: Buffer.from(`${name}\n`) },
			{ path: 'usr/share/filler', content: filler(`${name} ${architecture}`, fillerSize) },
		]);
		// The filler cannot be compressed, so there is no use in trying hard.
		const layer = addBlob(types.layer, gzipSync(archive, { level: packaging === 'large' ? 0 : 1 }));
		const config = addBlob(types.config, Buffer.from(JSON.stringify(configOf(name, architecture, digestOf(archive)))));
		return { architecture, manifest: addManifest(types.manifest, { config, layers: [layer] }), config, layer };
	});

	const top = isIndex
		? addManifest(types.index, {
				manifests: platforms.map(({ architecture, manifest }) => ({ ...manifest, platform: { architecture, os: 'linux' } })),
			})
		: platforms[0]!.manifest;
	const content: RepositoryContent = {
		blobs,
		manifests,
		tags: { latest: top.digest },
		summary: {
			digest: top.digest,
			mediaType: top.mediaType,
			platforms: platforms.map(({ architecture, manifest, config, layer }) => ({
				platform: `linux/${architecture}`,
				digest: manifest.digest,
				configDigest: config.digest,
				layers: [{ digest: layer.digest, size: layer.size }],
			})),
		},
	};

	if (packaging === 'with-referrer') {
		const empty = addBlob('application/vnd.oci.empty.v1+json', Buffer.from('{}'));
		const signature = addBlob(ARTIFACT_TYPE, Buffer.from(JSON.stringify({ signs: top.digest })));
		const artifact = addManifest(OCI.manifest, { artifactType: ARTIFACT_TYPE, config: empty, layers: [signature], subject: top });
		// What clients keep in place of a referrers API: OCI distribution-spec, "Referrers Tag Schema".
		const fallback = addManifest(OCI.index, { manifests: [{ ...artifact, artifactType: ARTIFACT_TYPE }] });
		const fallbackTag = top.digest.replace(':', '-');
		content.tags[fallbackTag] = fallback.digest;
		content.summary.referrer = { digest: artifact.digest, artifactType: ARTIFACT_TYPE, fallbackTag };
	}
	return content;
}

interface Descriptor {
	mediaType: string;
	size: number;
	digest: string;
}

function configOf(name: string, architecture: Architecture, diffId: string): object {
	const [cpu, variant] = architecture.split('/');
	return {
		created: CREATED,
		architecture: cpu,
		...(variant === undefined ? {} : { variant }),
		os: 'linux',
		config: { Entrypoint: ['/hello'], WorkingDir: '/', Labels: { 'org.opencontainers.image.title': name } },
		rootfs: { type: 'layers', diff_ids: [diffId] },
		history: [{ created: CREATED, created_by: 'sample image' }],
	};
}

/** Bytes that do not compress, the same for the same name: an AES-CTR key stream. */
function filler(name: string, size: number): Buffer {
	const key = createHash('sha256').update(name).digest();
	return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

export function digestOf(bytes: Buffer | string): string {
	return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
