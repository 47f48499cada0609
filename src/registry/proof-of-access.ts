import type { IncomingHttpHeaders } from 'node:http';

/** A final answer of the upstream registry to one token, and what that token asked for. */
export type Answered =
	| { kind: 'ping'; status: number; headers: IncomingHttpHeaders }
	/**
	 * `isVerified`: the body was read whole and hashes to the digest that was asked for; of a tag, to the one that the registry
	 * says. Of a HEAD, its headers are those of a manifest of the repository that was verified before: `asDescribed`.
	 */
	| { kind: 'manifest'; status: number; isVerified: boolean }
	| { kind: 'blob'; status: number; headers: IncomingHttpHeaders; digest: string };

/** Of a blob in object storage: 302, 303, 307 and 308. A registry uses 307; 301 and 300 are what gateways say. */
const REDIRECTS: ReadonlySet<number> = new Set([302, 303, 307, 308]);

/**
 * Whether an answer proves that the registry lets its token read the repository: the only thing that opens what is remembered to
 * that token. That nothing was refused proves nothing, because whatever is in front of a registry may say no with a login page, a
 * redirect to one, or a page of 200 that says "maintenance".
 *
 * @param answered a final answer: RFC 9110 section 15, from 200
 */
export function provesAccess(answered: Answered): boolean {
	const { status } = answered;
	switch (answered.kind) {
		case 'ping':
			return status === 200 && isRegistry(answered.headers);
		case 'manifest':
			return status === 200 && answered.isVerified;
		case 'blob':
			return status === 200 || status === 206
				? answered.headers['docker-content-digest'] === answered.digest
				: REDIRECTS.has(status) && answered.headers.location !== undefined && isRegistry(answered.headers);
	}
}

/** @returns whether a redirect of a blob may be remembered */
export function isBlobRedirect(status: number): boolean {
	return REDIRECTS.has(status);
}

/** Distribution says this in every answer of its own below `/v2/`. */
function isRegistry(headers: IncomingHttpHeaders): boolean {
	return headers['docker-distribution-api-version'] === 'registry/2.0';
}
