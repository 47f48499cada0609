import { RegistryError } from '../errors.ts';

/** The formats in which an image can be, and what people call them: OCI image-spec, "Media Types", and distribution's own. */
const FORMATS: Record<string, string> = {
	'application/vnd.oci.image.index.v1+json': 'OCI index',
	'application/vnd.oci.image.manifest.v1+json': 'OCI manifest',
	'application/vnd.docker.distribution.manifest.list.v2+json': 'Docker manifest list',
	'application/vnd.docker.distribution.manifest.v2+json': 'Docker manifest',
};
const TYPES = Object.keys(FORMATS);

/** An `Accept` for all of them, by name: distribution does not understand wildcards. */
export const ANY_FORMAT = [...TYPES, '*/*'].join(', ');

/** @returns whether there is a format that a client does not ask for by its name, so that "not found" may mean that */
export function lacksFormats(accept: string | undefined): boolean {
	return accept === undefined || !TYPES.every((type) => accept.includes(type));
}

/**
 * The error for an image that is there, but not in a format that the client accepts: registries answer that as if it were not there.
 *
 * @param name what was asked for
 * @param contentType of the manifest that is there
 * @param accept the client's
 * @returns undefined where the client accepts it, so that something else is the matter
 */
export function formatError(name: string, contentType: string | undefined, accept = ''): RegistryError | undefined {
	const type = (contentType ?? '').split(';', 1)[0]!.trim().toLowerCase();
	if (type === '' || accept.includes(type)) {
		return undefined;
	}
	const format = FORMATS[type] ?? 'manifest of another kind';
	const accepted = TYPES.filter((candidate) => accept.includes(candidate)).map((candidate) => FORMATS[candidate]!);
	const article = /^[aeiou]/i.test(format) ? 'an' : 'a';
	return new RegistryError(
		'MANIFEST_UNKNOWN',
		accepted.length === 0
			? `${name} is ${article} ${format}, which is sent only to clients that ask for it: Accept: ${type}`
			: `${name} is ${article} ${format}, and this client accepts only: ${accepted.join(', ')}`,
		{ forPeople: true },
	);
}
