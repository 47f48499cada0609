/** A `WWW-Authenticate: Bearer` challenge: RFC 6750 section 3, and distribution's "Token Authentication Specification". */
export interface Challenge {
	realm: string;
	service: string;
	scope?: string;
	/** Why a token was refused: RFC 6750 section 3.1. Absent where no token was sent. */
	error?: string;
	errorDescription?: string;
}

// One auth-param of RFC 9110 section 11.2: a token, or a quoted string with backslash escapes. Sticky, so that it walks the text once.
const PARAMETER = /[\s,]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/y;
const MAX_LENGTH = 8192;

/**
 * Parses the first Bearer challenge of a `WWW-Authenticate` header.
 *
 * @param header the header's value, or its values where the upstream sent several lines
 * @returns undefined where there is no Bearer challenge with a realm
 */
export function parseChallenge(header: string | string[] | undefined): Challenge | undefined {
	for (const line of [header ?? []].flat()) {
		const start = /(?:^|,)\s*bearer\s+/i.exec(line.slice(0, MAX_LENGTH));
		if (start === null) {
			continue;
		}
		const parameters = parseParameters(line.slice(0, MAX_LENGTH), start.index + start[0].length);
		const realm = parameters.get('realm');
		if (realm === undefined) {
			continue;
		}
		return {
			realm,
			service: parameters.get('service') ?? '',
			scope: parameters.get('scope'),
			error: parameters.get('error'),
			errorDescription: parameters.get('error_description'),
		};
	}
	return undefined;
}

function parseParameters(text: string, from: number): Map<string, string> {
	const parameters = new Map<string, string>();
	PARAMETER.lastIndex = from;
	for (let match = PARAMETER.exec(text); match !== null; match = PARAMETER.exec(text)) {
		const name = match[1]!.toLowerCase();
		if (!parameters.has(name)) {
			parameters.set(name, match[2]?.replace(/\\(.)/g, '$1') ?? match[3]!);
		}
	}
	return parameters;
}

/**
 * @returns the challenge as one header line, every value quoted, in the order that all clients are known to read. The inverse of
 * `parseChallenge`.
 */
export function formatChallenge(challenge: Challenge): string {
	const parameters: [string, string | undefined][] = [
		['realm', challenge.realm],
		['service', challenge.service],
		['scope', challenge.scope],
		['error', challenge.error],
		['error_description', challenge.errorDescription],
	];
	return `Bearer ${parameters.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${quote(value)}`])).join(',')}`;
}

/** A quoted string of RFC 9110 section 5.6.4. What no header may hold (controls, other than ASCII) becomes "?". */
function quote(value: string): string {
	return `"${value.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`;
}
