import type { Pagination } from './request.ts';

/**
 * One page of a list of tags: OCI distribution-spec, "Listing tags".
 *
 * @param tags all of them, in any order
 * @param path the list's own path, without a query, for the link to the next page
 * @returns the page in the order of the spec (lexical), and a `Link` header where there is more
 */
export function tagPage(tags: readonly string[], { n, last }: Pagination, path: string): { tags: string[]; link: string | undefined } {
	const sorted = [...new Set(tags)].sort();
	const rest = last === undefined ? sorted : sorted.filter((tag) => tag > last);
	if (n === undefined || rest.length <= n) {
		return { tags: rest, link: undefined };
	}
	const page = rest.slice(0, n);
	// n=0 is an empty list, after which nothing can follow.
	const next = page.at(-1);
	return { tags: page, link: next === undefined ? undefined : `<${path}?n=${n}&last=${encodeURIComponent(next)}>; rel="next"` };
}
