import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isDigest } from './digest.ts';
import { answerHeaders } from './headers.ts';

/** A manifest as it is kept in memory: its bytes, and the headers that describe them. */
export interface Manifest {
	bytes: Buffer;
	mediaType: string;
	digest: string;
	/** What else a client sees of the answer that it came in: `answerHeaders`. */
	headers?: Record<string, string | string[]>;
}

/**
 * The size that the distribution-spec asks every registry to accept ("Pushing Manifests"), in bytes; larger ones are streamed and
 * not kept.
 */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/**
 * @param digest what the bytes ought to hash to: `sha256:…` or `sha512:…`, as `isDigest` accepts
 * @returns whether they do
 */
export function verifyDigest(bytes: Buffer, digest: string): boolean {
	const colon = digest.indexOf(':');
	return hash(digest.slice(0, colon), bytes, 'hex') === digest.slice(colon + 1);
}

/**
 * Whether a client takes a manifest of a media type: RFC 9110 section 12.5.1, without weights, which no client sends. A registry
 * may answer a client that does not with another manifest, so such a request is the registry's to answer.
 */
export function isAcceptable(accept: string | undefined, mediaType: string): boolean {
	return accept === undefined || accept.includes('*/*') || accept.includes(mediaType);
}

/** @returns whether an `If-None-Match` value names the manifest: RFC 9110 section 13.1.2. Registries use the digest as the entity tag. */
export function matchesEtag(ifNoneMatch: string | undefined, digest: string): boolean {
	return ifNoneMatch !== undefined && (ifNoneMatch.trim() === '*' || ifNoneMatch.includes(`"${digest}"`));
}

/**
 * @param asked the digest or tag that was asked for
 * @param headers of the registry's answer
 * @param bytes its body, whole
 * @returns the manifest, whose digest is the registry's word, or computed where it has none; and whether the bytes hash to what
 * was asked for, of a tag to what the registry says of it
 */
export function readManifest(asked: string, headers: IncomingHttpHeaders, bytes: Buffer): { manifest: Manifest; isVerified: boolean } {
	const said = headers['docker-content-digest'];
	const isSaid = typeof said === 'string' && isDigest(said);
	const isAsked = isDigest(asked);
	const digest = isSaid ? said : isAsked ? asked : `sha256:${hash('sha256', bytes, 'hex')}`;
	const isVerified = (isSaid || isAsked) && verifyDigest(bytes, digest) && (!isAsked || digest === asked || verifyDigest(bytes, asked));
	const mediaType = headers['content-type'] ?? 'application/octet-stream';
	return { manifest: { bytes, mediaType, digest, headers: moreHeaders(headers, isAsked) }, isVerified };
}

/** @returns what a client sees of an answer's headers beside those that describe the bytes */
function moreHeaders(headers: IncomingHttpHeaders, isImmutable: boolean): NonNullable<Manifest['headers']> {
	const {
		'content-length': _length,
		'content-type': _type,
		'docker-content-digest': _digest,
		etag: _etag,
		...more
	} = answerHeaders(headers, isImmutable);
	return more;
}

/**
 * @param known a manifest that was verified before
 * @param headers of a registry's answer to a HEAD of a tag, which has no bytes to verify: distribution-spec, "Pulling manifests"
 * @returns the manifest as a GET of the tag would have brought it, where they are its digest, type, encoding and length. A digest
 * alone may be said by what is in front of the registry, of a page of its own
 */
export function asDescribed(known: Manifest, headers: IncomingHttpHeaders): Manifest | undefined {
	const isDescribed =
		headers['docker-content-digest'] === known.digest &&
		headers['content-type'] === known.mediaType &&
		headers['content-encoding'] === known.headers?.['content-encoding'] &&
		headers['content-length'] === String(known.bytes.length);
	return isDescribed ? { ...known, headers: moreHeaders(headers, false) } : undefined;
}

/** Images have 127 layers at the most, and indexes a dozen entries. More would fill the notes of where digests are. */
const MAX_DIGESTS = 256;
/** In bytes. Larger manifests are not read, and none is a block's image: some 500 layers fit into it, and one of 4 MB can take 100 ms. */
export const MAX_READ_BYTES = 128 * 1024;
/** What was read already, by the bytes: they are served again and again. */
const read = new WeakMap<Buffer, string[]>();

/**
 * What a manifest or an index refers to: OCI image-spec, "Image Manifest" and "Image Index", and their Docker forebears.
 *
 * @returns its own digest and those of its config, layers and children; only its own where it is not legible, or larger than 128
 * KB. Read once for the same bytes.
 */
export function digestsIn({ bytes, digest }: Pick<Manifest, 'bytes' | 'digest'>): string[] {
	let digests = read.get(bytes);
	if (digests === undefined) {
		digests = bytes.length > MAX_READ_BYTES ? [digest] : readDigests(bytes, digest);
		read.set(bytes, digests);
	}
	return digests;
}

function readDigests(bytes: Buffer, digest: string): string[] {
	try {
		const { config, layers, manifests } = JSON.parse(bytes.toString()) as Record<string, unknown>;
		const descriptors = [config, layers, manifests].flat().slice(0, MAX_DIGESTS) as ({ digest?: unknown } | null | undefined)[];
		return [
			digest,
			...descriptors.flatMap((descriptor) =>
				typeof descriptor?.digest === 'string' && isDigest(descriptor.digest) ? [descriptor.digest] : [],
			),
		];
	} catch {
		return [digest];
	}
}
