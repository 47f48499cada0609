import { hash } from 'node:crypto';

/** A manifest as it is kept in memory: its bytes, and the headers that describe them. */
export interface Manifest {
	bytes: Buffer;
	mediaType: string;
	digest: string;
}

/** The size that the distribution-spec asks every registry to accept ("Pushing Manifests"), in bytes; larger ones are streamed and not kept. */
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
 * Whether a client takes a manifest of a media type: RFC 9110 section 12.5.1, without weights, which no client sends. A registry may answer a client that does
 * not with another manifest, so such a request is the registry's to answer.
 */
export function isAcceptable(accept: string | undefined, mediaType: string): boolean {
	return accept === undefined || accept.includes('*/*') || accept.includes(mediaType);
}

/** @returns whether an `If-None-Match` value names the manifest: RFC 9110 section 13.1.2. Registries use the digest as the entity tag. */
export function matchesEtag(ifNoneMatch: string | undefined, digest: string): boolean {
	return ifNoneMatch !== undefined && (ifNoneMatch.trim() === '*' || ifNoneMatch.includes(`"${digest}"`));
}
