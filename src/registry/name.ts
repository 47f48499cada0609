/** Longest repository name, in characters: OCI distribution-spec, "Pulling manifests", and what clients enforce. */
export const MAX_NAME_LENGTH = 255;

// distribution-spec's grammar of one path component. Each separator run is followed by a character that is no separator, so
// that matching is linear.
const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);

/** Where releases' images lie: `v2/` and a hash that the balena API chose at random (openBalena: 16 bytes in hex). */
const REPOSITORY = /^v2\/[0-9a-f]{32,64}$/;

/** @returns whether `text` is a repository name by the distribution-spec. */
export function isName(text: string): boolean {
	return text.length <= MAX_NAME_LENGTH && NAME.test(text);
}

/** @returns whether `text` is the name under which the upstream registry stores an image, and so may be put into a URL. */
export function isRepository(text: string): boolean {
	return REPOSITORY.test(text);
}
