/**
 * What people leave in the name of an image: balena's own `%%BALENA_ARCH%%`, the `<arch>` of a README, and what shells and other
 * templates have. As it was typed, or with its signs escaped.
 */
const VARIABLE =
	/%%[A-Za-z_]{1,40}%%|(?:<|%3C)[A-Za-z][A-Za-z0-9 _-]{0,40}(?:>|%3E)|(?:\$|%24)?(?:\{|%7B){1,2} ?[A-Za-z_.][A-Za-z0-9_.-]{0,40} ?(?:\}|%7D){1,2}/i;

/** @returns the sentence for a name or an address in which a template variable was left; undefined where there is none */
export function templateVariableIn(text: string): string | undefined {
	const variable = VARIABLE.exec(text)?.[0];
	if (variable === undefined) {
		return undefined;
	}
	const plain = variable.replace(/%(3C|3E|24|7B|7D)/gi, (escape) => String.fromCharCode(Number.parseInt(escape.slice(1), 16)));
	return `replace the template variable ${plain} in the name by its value, such as aarch64 for an architecture`;
}
