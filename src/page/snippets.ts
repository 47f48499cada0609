/** One service's image of a release, and what a client is told to pull it. */
export interface PulledImage {
	service: string;
	/** With the release: what it names does not change. */
	reference: string;
}

export interface Snippet {
	heading: string;
	lines: string[];
}

/**
 * The lines to copy for a release: for each tool that pulls, in that tool's own form, with every image.
 *
 * @param name of the fleet; the Kubernetes pod is called after it
 */
export function snippets(name: string, images: readonly PulledImage[]): Snippet[] {
	return [
		{ heading: 'Docker', lines: images.map(({ reference }) => `docker pull ${reference}`) },
		{
			heading: 'Compose',
			lines: [
				'services:',
				...images.flatMap(({ service, reference }) => [`  ${yaml(service === '' ? 'main' : service)}:`, `    image: ${yaml(reference)}`]),
			],
		},
		{ heading: 'Dockerfile', lines: images.map(({ reference }) => `FROM ${reference}`) },
		{
			heading: 'Kubernetes',
			lines: [
				'apiVersion: v1',
				'kind: Pod',
				'metadata:',
				`  name: ${yaml(label(name))}`,
				'spec:',
				'  containers:',
				...images.flatMap(({ service, reference }) => [
					`    - name: ${yaml(label(service))}`,
					`      image: ${yaml(reference)}`,
					// A name without a tag counts as `:latest`, which Kubernetes would ask for at each start.
					'      imagePullPolicy: IfNotPresent',
				]),
			],
		},
	];
}

/**
 * What YAML reads as a text without quotes: nothing that begins like a number or a sign of its own, and no word of YAML 1.1 for a
 * boolean or nothing.
 */
const PLAIN = /^[a-z][\w.-]*$/i;
const PLAIN_REFERENCE = /^[a-z0-9][\w.-]*(?::\d+)?\/[\w./@:-]*\w$/i;
const WORDS = /^(?:y|yes|n|no|true|false|on|off|null)$/i;

/** @returns a text as YAML has it, in quotes where it needs them. JSON's are YAML's as well: YAML 1.2.2 section 1.3. */
export function yaml(text: string): string {
	return (PLAIN.test(text) && !WORDS.test(text)) || PLAIN_REFERENCE.test(text) ? text : JSON.stringify(text);
}

/** @returns a name as Kubernetes takes it for a pod or a container: a label of RFC 1123 */
function label(text: string): string {
	const made = text
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, '-')
		.slice(0, 63)
		.replace(/^-|-$/g, '');
	return made === '' ? 'main' : made;
}
