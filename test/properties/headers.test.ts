import fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { RegistryError, STATUS_OF_CODE, type ErrorCode } from '../../src/errors.ts';
import { errorResponse, upstreamStatusError } from '../../src/registry/error-response.ts';
import { answerHeaders, forwardedRequestHeaders, headerText } from '../../src/registry/headers.ts';
import { digestsIn, isAcceptable, matchesEtag } from '../../src/registry/manifest.ts';
import { isDigest } from '../../src/registry/digest.ts';
import { publicOrigin } from '../../src/registry/origin.ts';
import { tagPage } from '../../src/registry/tag-page.ts';
import { readRedirect, redirectLife } from '../../src/registry/redirect.ts';
import { anyJson, anyText, digest, mutated, nearly, tag } from './arbitraries.ts';
import { assertHeader, check, orRefused } from './check.ts';

const MEDIA_TYPES = [
	'application/vnd.oci.image.manifest.v1+json',
	'application/vnd.oci.image.index.v1+json',
	'application/vnd.docker.distribution.manifest.v2+json',
	'application/vnd.docker.distribution.manifest.list.v2+json',
	'application/json',
	'text/html',
];

const OWN = 'https://bh.cr';
const host = fc.oneof(
	fc.domain(),
	fc.ipV4(),
	fc.ipV6().map((address) => `[${address}]`),
	fc.constantFrom('localhost', 'registry_proxy'),
);
const location = fc.oneof(
	fc.webUrl({ withQueryParameters: true, withFragments: true }),
	fc.constantFrom(
		'https://registry:5000/v2/x',
		'//registry:5000/v2/x',
		'http://registry:5000',
		'/v2/x?y=z',
		'https://s3.example/x?X-Amz-Date=20261123T120000Z&X-Amz-Expires=1200',
		'https://cdn.example/b?Expires=1795435200',
		'https://blob.example/b?se=2026-11-23T13%3A00%3A00Z',
	),
);

describe('publicOrigin', () => {
	check(
		'is a clean origin, or refused',
		fc.property(
			fc.constantFrom('http', 'https', 'ftp'),
			fc.option(nearly(fc.tuple(host, fc.constantFrom('', ':80', ':8443')).map((parts) => parts.join(''))), { nil: undefined }),
			(protocol, given) => {
				const origin = orRefused(() => publicOrigin(undefined, protocol, given));
				if (origin !== undefined) {
					assert.match(origin, /^https?:\/\/[a-zA-Z0-9._:[\]-]+$/);
					assert.equal(origin, `${protocol}://${given}`);
				}
			},
		),
	);
	check(
		'takes every host',
		fc.property(host, (given) => assert.equal(publicOrigin(undefined, 'https', given), `https://${given}`)),
	);
});

describe('readRedirect', () => {
	check(
		'never sends a client to the registry, and never a token to anything but its API',
		fc.property(nearly(location), (text) => {
			const redirect = readRedirect(text, 'https://registry:5000', '/v2/x');
			if (redirect.to === 'elsewhere') {
				assert.ok(redirect.location === text || redirect.location === `https:${text}`);
				assert.notEqual(URL.parse(redirect.location, 'https://proxy')?.host, 'registry:5000');
			} else {
				const { origin, pathname } = new URL(`https://registry:5000${redirect.path}`);
				assert.equal(origin, 'https://registry:5000');
				assert.equal(redirect.to === 'registry' && redirect.isForToken && !pathname.startsWith('/v2/'), false);
			}
		}),
	);
});

describe('redirectLife', () => {
	check(
		'is within its bounds, whatever the URL says',
		fc.property(nearly(location), fc.nat(2 ** 42), fc.nat(604_800_000), (text, now, maxMs) => {
			const life = redirectLife(text, now, maxMs);
			assert.ok(life >= 0 && life <= maxMs, String(life));
		}),
	);
});

describe('headerText and errorResponse', () => {
	check(
		'a text is clean and bounded',
		fc.property(fc.oneof(anyText, fc.string({ unit: 'binary', minLength: 300, maxLength: 600 })), (text) => {
			const clean = headerText(text);
			assertHeader(clean);
			assert.ok(clean.length <= 400);
			assert.equal(headerText(clean), clean.trim());
		}),
	);
	check(
		'an error is an answer with clean headers and its sentence',
		fc.property(
			fc.constantFrom(...(Object.keys(STATUS_OF_CODE) as ErrorCode[])),
			anyText,
			fc.boolean(),
			fc.option(nearly(fc.constantFrom('containerd/2', 'docker/29', 'buildkit/0.25')), { nil: undefined }),
			(code, message, forPeople, userAgent) => {
				const { status, reason = '', headers, body } = errorResponse(new RegistryError(code, message, { forPeople }), userAgent);
				[reason, ...Object.values(headers)].forEach(assertHeader);
				assert.ok(status >= 400 && status < 600);
				const shown = body.errors[0]!.message;
				assert.doesNotMatch(shown, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
				// Spaces aside, which stand for what terminals would obey or not show, it is the sentence.
				const letters = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp} ]/gu;
				assert.equal(shown.replace(letters, ''), message.replace(letters, ''));
				assert.equal(STATUS_OF_CODE[body.errors[0]!.code], status);
			},
		),
	);
	check(
		"an upstream's refusal is an answer with clean headers",
		fc.property(
			fc.integer({ min: 400, max: 999 }),
			fc.constantFrom('manifest', 'blob', 'tags', 'ping'),
			anyText,
			(status, kind, retryAfter) => {
				const error = upstreamStatusError(status, { kind, name: 'org/app', item: 'latest' }, { 'retry-after': retryAfter });
				assert.ok(error.statusCode >= 400 && error.statusCode < 600);
				assert.ok(error.statusCode !== 500);
				Object.values(error.headers).forEach(assertHeader);
			},
		),
	);
});

describe('forwarded headers', () => {
	const names = [
		'accept',
		'range',
		'user-agent',
		'authorization',
		'cookie',
		'host',
		'connection',
		'transfer-encoding',
		'content-length',
		'location',
		'www-authenticate',
		'set-cookie',
		'__proto__',
		'constructor',
	];
	const headersOf = (value: fc.Arbitrary<string>): fc.Arbitrary<Record<string, string | string[]>> =>
		fc.dictionary(fc.oneof(fc.constantFrom(...names), anyText), fc.oneof(value, fc.array(value, { maxLength: 2 })), { maxKeys: 6 });
	check(
		'to the registry are of a short list, and unchanged',
		fc.property(headersOf(anyText), (given) => {
			const forwarded = forwardedRequestHeaders(given);
			for (const [key, value] of Object.entries(forwarded)) {
				assert.ok(
					['accept', 'accept-encoding', 'range', 'if-range', 'if-none-match', 'if-modified-since', 'user-agent'].includes(key),
					key,
				);
				assert.equal(value, given[key]);
			}
			assert.equal(Object.getPrototypeOf(forwarded), Object.prototype);
		}),
	);
	// All that undici's parser takes for a value (RFC 9110 section 5.5), as Latin-1: test/attacks/headers.test.ts.
	const fieldValue = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]*$/);
	check(
		'to the client hold nothing of one connection, and nothing new',
		fc.property(headersOf(fieldValue), (given) => {
			const forwarded = answerHeaders(given, false);
			for (const [key, value] of Object.entries(forwarded)) {
				assert.ok(!['connection', 'transfer-encoding', 'www-authenticate', 'set-cookie'].includes(key), key);
				assert.equal(value, given[key]);
			}
			assert.equal(Object.getPrototypeOf(forwarded), Object.prototype);
		}),
	);
});

describe('tagPage', () => {
	const tags = fc.array(fc.oneof(tag, fc.string({ unit: 'binary', maxLength: 5 })), { maxLength: 12 });
	check(
		'page by page, gives every tag once and in order',
		fc.property(tags, fc.integer({ min: 1, max: 5 }), (all, n) => {
			const seen: string[] = [];
			let last: string | undefined;
			do {
				const page = tagPage(all, { n, last }, '/v2/org/app/tags/list');
				assert.ok(page.tags.length <= n);
				seen.push(...page.tags);
				assertHeader(page.link ?? '');
				const target = page.link && /^<(\/v2\/org\/app\/tags\/list\?[^<>"]+)>; rel="next"$/.exec(page.link)?.[1];
				last = target === undefined || target === '' ? undefined : (new URL(target, OWN).searchParams.get('last') ?? undefined);
				assert.equal(page.link === undefined, last === undefined);
			} while (last !== undefined);
			assert.deepEqual(seen, [...new Set(all)].sort());
		}),
	);
});

describe('manifests', () => {
	check(
		'of any content refer to digests only',
		fc.property(
			fc.oneof(
				anyJson,
				fc.record({
					config: anyJson,
					layers: fc.array(fc.oneof(anyJson, fc.record({ digest: nearly(digest) })), { maxLength: 4 }),
					manifests: anyJson,
				}),
			),
			digest,
			(content, own) => {
				const found = digestsIn({ bytes: Buffer.from(JSON.stringify(content)), digest: own });
				assert.equal(found[0], own);
				assert.ok(found.every(isDigest));
			},
		),
	);
	check(
		'of any bytes refer to themselves at least',
		fc.property(fc.uint8Array({ maxLength: 60 }), digest, (bytes, own) =>
			assert.equal(digestsIn({ bytes: Buffer.from(bytes), digest: own })[0], own),
		),
	);
	check(
		'are conditions on any header without failing',
		fc.property(mutated(digest.map((text) => `"${text}"`)), digest, (header, own) => {
			assert.ok(!matchesEtag(header, own) || header.trim() === '*' || header.includes(own));
		}),
	);
	check(
		'are acceptable to whoever names their media type, or anything',
		fc.property(
			fc.array(fc.constantFrom(...MEDIA_TYPES, '*/*')),
			fc.constantFrom(', ', ',', ' , '),
			fc.constantFrom(...MEDIA_TYPES),
			(types, comma, own) => assert.equal(isAcceptable(types.join(comma), own), types.includes(own) || types.includes('*/*')),
		),
	);
});
