/**
 * What somebody means who pastes more than a reference: a whole command, a scheme, the registry's host, a tag or a digest.
 *
 * @param hosts names that the registry goes by
 * @returns the part that `parseReference` reads; it may still be none
 */
export function typedReference(typed: string, hosts: readonly string[]): string {
	const last = typed.trim().split(/\s+/).at(-1) ?? '';
	const plain = last.replace(/^(?:https?|docker):\/\//, '').replace(/@[^/]*$/, '').replace(/:[^/:]*$/, '').replace(/\/+$/, '').toLowerCase();
	const host = hosts.find((name) => plain.startsWith(`${name.toLowerCase()}/`));
	return host === undefined ? plain : plain.slice(host.length + 1);
}
