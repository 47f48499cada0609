import { pageQuery } from './request.ts';

const MAX_LENGTH = 8192;

/**
 * The next page of a list, as an upstream's `Link` has it: RFC 8288; OCI distribution-spec, "Listing tags" and "Listing Referrers".
 *
 * @param link the header; several lines count as one
 * @param path what was asked for. A page of something else is none; the host does not matter, because a registry may know itself
 * by an inner one
 * @returns the query of the next page, without a question mark; undefined where there is no such page
 */
export function nextQuery(link: string | string[] | undefined, path: string): string | undefined {
	const text = [link ?? []].flat().join(', ');
	if (text.length > MAX_LENGTH) {
		return undefined;
	}
	for (const [, target = '', parameters = ''] of text.matchAll(/<([^<>]*)>([^<]*)/g)) {
		if (/;\s*rel\s*=\s*(?:"(?:[^"]* )?next(?: [^"]*)?"|next(?![^\s,;]))/i.test(parameters)) {
			const url = URL.parse(target, `http://registry${path}`);
			return url !== null && url.pathname.endsWith(path) && url.search !== '' ? url.search.slice(1) : undefined;
		}
	}
	return undefined;
}

/**
 * @param link an upstream's header for a list of referrers
 * @param path what the upstream was asked for
 * @param ownPath what this proxy was asked for
 * @returns the header for the client, under the name that it knows; undefined where this proxy would not pass the whole query on,
 * so that the client would turn in circles
 */
export function ownLink(link: string | string[], path: string, ownPath: string): string | undefined {
	const next = nextQuery(link, path);
	const query = next === undefined ? undefined : pageQuery(new URLSearchParams(next), 'whole');
	return query === undefined ? undefined : `<${ownPath}?${query}>; rel="next"`;
}
