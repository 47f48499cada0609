/** What somebody typed who may have pasted more than a reference, in its parts. */
export interface Typed {
	/** The part that `parseReference` reads; it may still be none. */
	name: string;
	tag: string | undefined;
	digest: string | undefined;
}

/**
 * Finds the reference in a whole command, in a line of a file, or in an address, without the registry's host.
 *
 * @param hosts names that the registry goes by
 */
export function readTyped(typed: string, hosts: readonly string[]): Typed {
	const words = typed
		.trim()
		.split(/[\s"'`,;]+/)
		.map((word) => word.replace(/^(?:https?|docker):\/\//i, '').replace(/[?#].*$/, ''));
	// In a command or a file, what begins with the host, or at least looks like a name: it has a slash, and does not begin as
	// options and paths do.
	const address =
		words.findLast((word) => hostOf(word, hosts) !== undefined) ??
		words.findLast((word) => /^[^/.-].*\/./.test(word)) ??
		words.at(-1) ??
		'';
	const digest = /@([^/@]*)$/.exec(address)?.[1];
	const untilDigest = digest === undefined ? address : address.slice(0, -digest.length - 1);
	const tag = /[^/]:([^/:]*)$/.exec(untilDigest)?.[1];
	const path = (tag === undefined ? untilDigest : untilDigest.slice(0, -tag.length - 1)).replace(/\/+$/, '').toLowerCase();
	const host = hostOf(path, hosts);
	return { name: host === undefined ? path : path.slice(host.length + 1), tag: tag === '' ? undefined : tag, digest };
}

function hostOf(word: string, hosts: readonly string[]): string | undefined {
	return hosts.find((host) => word.toLowerCase().startsWith(`${host.toLowerCase()}/`));
}
