/** Longest piece of an upstream's own words that goes into the log. */
const MAX_WORDS = 300;

/**
 * Why an upstream refused or failed, for the log: its status, and the first of its own words. Never for an answer, because they
 * name what is behind the proxy.
 *
 * @param who in the words of the message, such as "the registry"
 * @param body the beginning of the answer: an error of the distribution-spec ("Error Codes"), or of object storage, of which only
 * the code is taken, because the rest repeats what was signed
 */
export function upstreamCause(who: string, status: number, body: Buffer): Error {
	const words = firstError(body.toString());
	return new Error(`${who} answered with status ${status}${words === undefined ? '' : `: ${words}`}`);
}

function firstError(text: string): string | undefined {
	const code = /<Code>([A-Za-z0-9._-]{1,64})<\/Code>/.exec(text)?.[1];
	if (code !== undefined) {
		return code;
	}
	// The body may be cut, so that it is no JSON any more.
	const start = /^\s*\{\s*"errors"\s*:\s*\[\s*(?=\{)/.exec(text);
	try {
		const { errors } = JSON.parse(text) as { errors?: unknown[] };
		return Array.isArray(errors) && errors[0] !== undefined ? JSON.stringify(errors[0]).slice(0, MAX_WORDS) : undefined;
	} catch {
		return start === null ? undefined : text.slice(start[0].length, start[0].length + MAX_WORDS);
	}
}
