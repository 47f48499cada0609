/** Media types of manifests: OCI image-spec, "Media Types", and distribution's "Image Manifest V 2" schemas. */
const MEDIA_TYPES = [
	'application/vnd.oci.image.index.v1+json',
	'application/vnd.oci.image.manifest.v1+json',
	'application/vnd.docker.distribution.manifest.list.v2+json',
	'application/vnd.docker.distribution.manifest.v2+json',
	'application/vnd.docker.distribution.manifest.v1+prettyjws',
	'application/vnd.docker.distribution.manifest.v1+json',
	'application/vnd.oci.artifact.manifest.v1+json',
	'application/json',
	'*/*',
];

/** What clients accept is one of few lists; what was made of each is remembered. */
const MAX_KNOWN = 500;
const known = new Map<string, string>();

/** What is asked for on behalf of who accepts something, but nothing that a manifest can be: no manifest has this type. */
const NOTHING_KNOWN = 'application/octet-stream';

/**
 * What of an `Accept` header (RFC 9110 section 12.5.1) can matter to a registry: the known media types in a fixed order, without
 * weights, which no client sends. So that there are not any number of questions about one manifest.
 *
 * @returns undefined where there is no header, and every type will do
 */
export function acceptedTypes(accept: string | undefined): string | undefined {
	if (accept === undefined) {
		return undefined;
	}
	const before = known.get(accept);
	if (before !== undefined) {
		return before;
	}
	const given = new Set(
		accept
			.toLowerCase()
			.split(',')
			.map((part) => part.split(';', 1)[0]!.trim().replace('application/*', '*/*')),
	);
	const types = MEDIA_TYPES.filter((type) => given.has(type)).join(', ') || NOTHING_KNOWN;
	if (known.size < MAX_KNOWN) {
		known.set(accept, types);
	}
	return types;
}
