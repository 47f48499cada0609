import fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { isDigest, isFallbackTag } from '../../src/registry/digest.ts';
import { parseRegistryRequest, type RegistryRequest } from '../../src/registry/request.ts';
import { digest, fallbackTag, name, nearly, repository, tag } from './arbitraries.ts';
import { check, orRefused } from './check.ts';
import { isNameByHand } from './oracles.ts';

const reference = fc.oneof(tag, digest, fallbackTag);
const target = fc.oneof(
	fc.tuple(name, reference).map(([text, item]) => `/v2/${text}/manifests/${item}`),
	fc.tuple(name, digest).map(([text, item]) => `/v2/${text}/blobs/${item}`),
	fc
		.tuple(name, digest, fc.constantFrom('', '?artifactType=application/x', '?artifactType=a%2Fb%2Bc'))
		.map(([text, item, query]) => `/v2/${text}/referrers/${item}${query}`),
	fc.tuple(name, fc.constantFrom('', '?n=5', '?n=5&last=2.4.0', '?last=x&ns=y')).map(([text, query]) => `/v2/${text}/tags/list${query}`),
	fc.constantFrom('/v2/', '/v2/_catalog', '/v2/_catalog?n=1'),
);

/** Every part by its grammar, so that nothing else can reach a URL, a header or a cache key. */
function assertValid(request: RegistryRequest): void {
	if ('name' in request) {
		assert.ok(isNameByHand(request.name), request.name);
	}
	switch (request.kind) {
		case 'ping':
			break;
		case 'manifest':
			switch (request.reference.kind) {
				case 'digest':
					assert.ok(isDigest(request.reference.text));
					break;
				case 'fallback-tag':
					assert.ok(isFallbackTag(request.reference.text));
					break;
				case 'tag':
					assert.match(request.reference.text, /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/);
			}
			break;
		case 'blob':
			assert.ok(isDigest(request.digest));
			break;
		case 'referrers':
			assert.ok(isDigest(request.digest));
			assert.match(request.query ?? '', /^[\w%.~!*'()=&-]*$/);
			break;
		case 'tags':
		case 'catalog':
			assert.ok(
				request.pagination.n === undefined ||
					(Number.isInteger(request.pagination.n) && request.pagination.n >= 0 && request.pagination.n <= 10_000),
			);
			assert.match(request.pagination.last ?? 'x', /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/);
	}
}

/** Where a request would lead at the upstream registry. */
function upstreamPath(request: RegistryRequest, hash: string): string | undefined {
	switch (request.kind) {
		case 'manifest':
			return `/v2/${hash}/manifests/${request.reference.text}`;
		case 'blob':
			return `/v2/${hash}/blobs/${request.digest}`;
		case 'referrers':
			return `/v2/${hash}/referrers/${request.digest}`;
		default:
			return undefined;
	}
}

/** Some of the characters as percent escapes, of either case. */
function escaped(text: string, which: readonly number[]): string {
	return [...text]
		.map((character, i) => {
			const choice = which[i % Math.max(1, which.length)] ?? 0;
			const escape = `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
			return choice === 1 ? escape : choice === 2 ? escape.toUpperCase() : character;
		})
		.join('');
}

describe('parseRegistryRequest', () => {
	check(
		'returns what is valid in every part, or refuses',
		fc.property(nearly(target), (url) => {
			const request = orRefused(() => parseRegistryRequest(url));
			if (request !== undefined) {
				assertValid(request);
			}
		}),
	);
	check(
		'cannot lead out of the repository',
		fc.property(nearly(target), repository, (url, hash) => {
			const request = orRefused(() => parseRegistryRequest(url));
			const path = request && upstreamPath(request, hash);
			if (path !== undefined) {
				const { href, pathname } = new URL(`https://registry${path}`);
				assert.equal(href, `https://registry${path}`);
				assert.ok(pathname.startsWith(`/v2/${hash}/`));
			}
		}),
	);
	check(
		'understands every valid request, however it is escaped',
		fc.property(name, reference, fc.array(fc.nat(2), { maxLength: 5 }), (text, item, which) => {
			const path = `/v2/${text}/manifests/${item}`;
			const written = escaped(path.slice(4), which);
			fc.pre(written.length <= 1000);
			const request = parseRegistryRequest(`/v2/${written}`);
			assert.deepEqual(request.kind === 'manifest' && [request.name, request.reference.text], [text, item]);
		}),
	);
	check(
		'puts nothing in that was not there',
		fc.property(nearly(target), (url) => {
			const request = orRefused(() => parseRegistryRequest(url));
			if (request?.kind === 'manifest') {
				assert.equal(`/v2/${request.name}/manifests/${request.reference.text}`, decodeURIComponent(url.split('?')[0]!));
			}
		}),
	);
	check(
		'reads the same page whatever else is in the query',
		fc.property(name, fc.nat(20_000), tag, fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }), (text, n, last, others) => {
			const query = new URLSearchParams({ ...others, n: String(n), last });
			const request = parseRegistryRequest(`/v2/${text}/tags/list?${query}`);
			assert.deepEqual(request.kind === 'tags' && request.pagination, { n: Math.min(n, 10_000), last });
		}),
	);
});
