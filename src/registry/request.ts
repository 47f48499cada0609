import { RegistryError } from '../errors.ts';
import { isDigest, isFallbackTag } from './digest.ts';
import { isName } from './name.ts';
import { templateVariableIn } from './template-variable.ts';

export type ManifestReference = { kind: 'tag'; text: string } | { kind: 'fallback-tag'; text: string } | { kind: 'digest'; text: string };

export interface Pagination {
	/** How many entries at the most; undefined: all. */
	n: number | undefined;
	/** The entry after which the page starts. */
	last: string | undefined;
}

/** A pull request, parsed once and valid in every part: nothing of the client's URL is used beyond this object. */
export type RegistryRequest =
	| { kind: 'ping' }
	| { kind: 'catalog'; pagination: Pagination }
	| { kind: 'manifest'; name: string; reference: ManifestReference }
	| { kind: 'blob'; name: string; digest: string }
	| { kind: 'tags'; name: string; pagination: Pagination }
	| { kind: 'referrers'; name: string; digest: string; /** Filter and page, made from checked parts. */ query: string | undefined };

/** A request for something in a repository. */
export type ContentRequest = Exclude<RegistryRequest, { kind: 'ping' | 'catalog' }>;

const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const MEDIA_TYPE = /^[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}\/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}$/;
const MAX_PAGE = 10_000;
/** What registries put into the link to a next page: distribution-spec, and ECR's, Quay's and Harbor's own. */
const PAGE_PARAMETERS: readonly string[] = ['n', 'last', 'nextToken', 'next_page', 'page', 'page_size'];
/** Opaque, but printable, and no longer than a page's token is anywhere. */
const PAGE_VALUE = /^[\x20-\x7e]{0,2048}$/;
const MAX_PATH_LENGTH = 1024;

/**
 * Parses the target of a GET or HEAD request below `/v2/`: OCI distribution-spec, "Endpoints" end-1 to end-3, end-8, end-12.
 *
 * @param url the request's raw target, as sent: path and query
 * @throws RegistryError with the spec's code for anything that is not one of the pull endpoints or not in their grammar
 */
export function parseRegistryRequest(url: string): RegistryRequest {
	const queryAt = url.indexOf('?');
	const path = decodePath(queryAt < 0 ? url : url.slice(0, queryAt));
	const query = (): URLSearchParams => new URLSearchParams(queryAt < 0 ? '' : url.slice(queryAt + 1));

	if (path === '/v2/' || path === '/v2') {
		return { kind: 'ping' };
	}
	if (path === '/v2/_catalog') {
		return { kind: 'catalog', pagination: parsePagination(query()) };
	}

	// The last two components say what is asked for; a name may itself contain "manifests" or "blobs".
	const lastSlash = path.lastIndexOf('/');
	const verbSlash = path.lastIndexOf('/', lastSlash - 1);
	const verb = path.startsWith('/v2/') ? path.slice(verbSlash + 1, lastSlash) : '';
	const last = path.slice(lastSlash + 1);
	const nameOf = (): string => parseName(path.slice('/v2/'.length, Math.max(verbSlash, '/v2/'.length)));

	switch (verb) {
		case 'manifests':
			return { kind: 'manifest', name: nameOf(), reference: parseManifestReference(last) };
		case 'blobs':
			return { kind: 'blob', name: nameOf(), digest: parseDigest(last) };
		case 'referrers':
			return { kind: 'referrers', name: nameOf(), digest: parseDigest(last), query: parseReferrersQuery(query()) };
		case 'tags':
			if (last === 'list') {
				return { kind: 'tags', name: nameOf(), pagination: parsePagination(query()) };
			}
	}
	throw new RegistryError('UNSUPPORTED', 'this is not an address of the pull API: manifests, blobs, tags/list and referrers are', {
		status: 404,
	});
}

/**
 * Decodes percent escapes once: some clients escape the colon of a digest. An escaped slash becomes a plain one, which is harmless because
 * everything is checked against its grammar after this, and never decoded again.
 */
function decodePath(path: string): string {
	if (path.length > MAX_PATH_LENGTH) {
		throw new RegistryError('NAME_INVALID', `the path is longer than ${MAX_PATH_LENGTH} characters`, { status: 414 });
	}
	if (!path.includes('%')) {
		return path;
	}
	try {
		return decodeURIComponent(path);
	} catch (cause) {
		throw new RegistryError('NAME_INVALID', templateVariableIn(path) ?? 'the path has a malformed percent escape', {
			forPeople: true,
			cause,
		});
	}
}

function parseName(text: string): string {
	if (!isName(text)) {
		throw new RegistryError(
			'NAME_INVALID',
			templateVariableIn(text) ??
				'the name is not a valid repository name: lower-case letters and digits, with single ".", "_" or "-" between them, as in <org>/<fleet>/<release>',
			{ forPeople: true },
		);
	}
	return text;
}

function parseManifestReference(text: string): ManifestReference {
	if (text.includes(':')) {
		return { kind: 'digest', text: parseDigest(text) };
	}
	if (!TAG.test(text)) {
		throw new RegistryError(
			'TAG_INVALID',
			templateVariableIn(text) ?? 'the tag is not valid: up to 128 letters, digits, ".", "_" and "-"',
			{ forPeople: true },
		);
	}
	return { kind: isFallbackTag(text) ? 'fallback-tag' : 'tag', text };
}

function parseDigest(text: string): string {
	if (!isDigest(text)) {
		throw new RegistryError('DIGEST_INVALID', 'the digest is not valid: sha256: with 64 hex digits, or sha512: with 128');
	}
	return text;
}

function parseReferrersQuery(query: URLSearchParams): string | undefined {
	const type = query.get('artifactType');
	if (type !== null && !MEDIA_TYPE.test(type)) {
		throw new RegistryError('MANIFEST_INVALID', 'artifactType is not a media type');
	}
	return pageQuery(query, 'known');
}

/**
 * The query of a list of referrers, as the upstream registry is asked: which page that is, only the registry knows, and a client
 * follows its link.
 *
 * @param which `known`: what else is in the query is dropped. `whole`: then there is no such query
 * @returns without a question mark; undefined where nothing is left
 * @throws RegistryError where a page is not legible and `known` are asked for
 */
export function pageQuery(query: URLSearchParams, which: 'known' | 'whole'): string | undefined {
	const parts: string[] = [];
	for (const name of new Set(query.keys())) {
		const value = query.get(name)!;
		const isFilter = name === 'artifactType';
		if (isFilter ? MEDIA_TYPE.test(value) : PAGE_PARAMETERS.includes(name) && PAGE_VALUE.test(value)) {
			parts.push(`${name}=${encodeURIComponent(value)}`);
		} else if (which === 'whole') {
			return undefined;
		} else if (PAGE_PARAMETERS.includes(name)) {
			throw new RegistryError('PAGINATION_NUMBER_INVALID', `${name} is not legible`);
		}
	}
	return parts.length === 0 ? undefined : parts.join('&');
}

function parsePagination(query: URLSearchParams): Pagination {
	const n = query.get('n');
	const last = query.get('last') ?? undefined;
	if (n !== null && !/^\d{1,9}$/.test(n)) {
		throw new RegistryError('PAGINATION_NUMBER_INVALID', 'n is not a whole number');
	}
	if (last !== undefined && last !== '' && !TAG.test(last)) {
		throw new RegistryError('TAG_INVALID', 'last is not a tag');
	}
	return { n: n === null ? undefined : Math.min(Number(n), MAX_PAGE), last: last === '' ? undefined : last };
}
