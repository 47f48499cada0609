/** The digest algorithms that OCI image-spec ("Digests", "Registered algorithms") registers, and the lengths of what they encode. */
const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/;
const FALLBACK_TAG = /^(sha256-[a-f0-9]{64}|sha512-[a-f0-9]{64,128})(\.[A-Za-z0-9._-]{1,32})?$/;

/** @returns whether `text` is a digest of a registered algorithm, such as `sha256:…` with 64 hex digits. */
export function isDigest(text: string): boolean {
	return DIGEST.test(text);
}

/**
 * @returns whether a tag is derived from a digest: `sha256-<hex>` of the distribution-spec's referrers tag schema, or cosign's
 * `.sig`, `.att` and `.sbom` beside it. It names other content than the image, so it is never "a tag to ignore".
 */
export function isFallbackTag(tag: string): boolean {
	return FALLBACK_TAG.test(tag);
}
