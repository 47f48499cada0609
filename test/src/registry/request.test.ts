import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RegistryError } from '../../../src/errors.ts';
import { parseRegistryRequest } from '../../../src/registry/request.ts';
import { outcome, table } from '../../support/table.ts';

const SHA256 = `sha256:${'0123456789abcdef'.repeat(4)}`;
const SHA512 = `sha512:${'0123456789abcdef'.repeat(8)}`;
const FALLBACK_TAG = SHA256.replace(':', '-');
const COMMIT = '0123456789abcdef0123456789abcdef01234567';

const tag = (name: string, text: string) => ({ kind: 'manifest', name, reference: { kind: 'tag', text } });
const fallbackTag = (name: string, text: string) => ({ kind: 'manifest', name, reference: { kind: 'fallback-tag', text } });
const digest = (name: string, text: string) => ({ kind: 'manifest', name, reference: { kind: 'digest', text } });
const referrers = (query?: string) => ({ kind: 'referrers', name: 'org/app', digest: SHA256, ...(query === undefined ? {} : { query }) });
const tags = (name: string, pagination: object = {}) => ({ kind: 'tags', name, pagination });

const parse = (url: string) => outcome(() => parseRegistryRequest(url));

describe('parseRegistryRequest: the endpoints of a pull', () => {
	table(
		[
			['/v2/', { kind: 'ping' }],
			['/v2', { kind: 'ping' }],
			['/v2/?ns=docker.io', { kind: 'ping' }],
			['/v2/_catalog', { kind: 'catalog', pagination: {} }],
			['/v2/_catalog?n=10&last=org%2Fapp', '400 TAG_INVALID'],
			['/v2/org/app/manifests/latest', tag('org/app', 'latest')],
			['/v2/org/app/2.4.1/manifests/latest', tag('org/app/2.4.1', 'latest')],
			[`/v2/org/app/${COMMIT}/svc/manifests/latest`, tag(`org/app/${COMMIT}/svc`, 'latest')],
			[`/v2/org/app/manifests/${SHA256}`, digest('org/app', SHA256)],
			[`/v2/org/app/manifests/${SHA512}`, digest('org/app', SHA512)],
			[`/v2/org/app/manifests/${FALLBACK_TAG}`, fallbackTag('org/app', FALLBACK_TAG)],
			[`/v2/org/app/manifests/${FALLBACK_TAG}.sig`, fallbackTag('org/app', `${FALLBACK_TAG}.sig`)],
			[`/v2/org/app/blobs/${SHA256}`, { kind: 'blob', name: 'org/app', digest: SHA256 }],
			[`/v2/org/app/blobs/${SHA512}`, { kind: 'blob', name: 'org/app', digest: SHA512 }],
			['/v2/org/app/tags/list', tags('org/app')],
			[`/v2/org/app/referrers/${SHA256}`, referrers()],
			[
				`/v2/org/app/referrers/${SHA256}?artifactType=application%2Fvnd.oci.image.config.v1%2Bjson`,
				referrers('artifactType=application%2Fvnd.oci.image.config.v1%2Bjson'),
			],
			[`/v2/v2/${'0'.repeat(32)}/manifests/latest`, tag(`v2/${'0'.repeat(32)}`, 'latest')],
			// A mirror's query changes nothing.
			['/v2/org/app/manifests/latest?ns=bh.cr', tag('org/app', 'latest')],
			// One component is a name for a registry, if not for a fleet.
			['/v2/app/manifests/latest', tag('app', 'latest')],
		],
		parse,
	);
});

describe('parseRegistryRequest: names that look like endpoints', () => {
	table(
		[
			['/v2/manifests/blobs/manifests/tags', tag('manifests/blobs', 'tags')],
			['/v2/org/tags/list/tags/list', tags('org/tags/list')],
			[`/v2/blobs/blobs/blobs/${SHA256}`, { kind: 'blob', name: 'blobs/blobs', digest: SHA256 }],
			['/v2/v2/v2/manifests/v2', tag('v2/v2', 'v2')],
			['/v2/_catalog/manifests/latest', '400 NAME_INVALID'],
		],
		parse,
	);
});

describe('parseRegistryRequest: escapes are decoded once', () => {
	table(
		[
			[`/v2/org/app/manifests/${SHA256.replace(':', '%3A')}`, digest('org/app', SHA256)],
			[`/v2/org/app/blobs/${SHA256.replace(':', '%3a')}`, { kind: 'blob', name: 'org/app', digest: SHA256 }],
			['/v2/org%2Fapp/manifests/latest', tag('org/app', 'latest')],
			['/v2/%6Frg/app/manifests/latest', tag('org/app', 'latest')],
			['/v2/org%252Fapp/manifests/latest', '400 NAME_INVALID'],
			['/v2/%2e%2e/app/manifests/latest', '400 NAME_INVALID'],
			['/v2/org/app/manifests/%2e%2e', '400 TAG_INVALID'],
			['/v2/org/app/manifests/..%2f..%2fx', '404 UNSUPPORTED'],
			['/v2/org/app/manifests/latest%0d%0ax-evil:%201', '400 DIGEST_INVALID'],
			['/v2/org/app/manifests/latest%0a', '400 TAG_INVALID'],
			['/v2/org/app/manifests/%00', '400 TAG_INVALID'],
			['/v2/org/app/manifests/%', '400 NAME_INVALID'],
			['/v2/org/app/manifests/%zz', '400 NAME_INVALID'],
			['/v2/org/app/manifests/%ff', '400 NAME_INVALID'],
			['/v2/org/app/manifests/%ed%a0%80', '400 NAME_INVALID'],
			['/v2/org/app/manifests/latest%3Fx', '400 TAG_INVALID'],
		],
		parse,
	);
});

describe('parseRegistryRequest: names that are none', () => {
	table(
		[
			['/v2/Org/app/manifests/latest', '400 NAME_INVALID'],
			['/v2/org/app/2.3.8+rev1/manifests/latest', '400 NAME_INVALID'],
			['/v2/org//app/manifests/latest', '400 NAME_INVALID'],
			['/v2//org/app/manifests/latest', '400 NAME_INVALID'],
			['/v2/org/app//manifests/latest', '400 NAME_INVALID'],
			['/v2/../app/manifests/latest', '400 NAME_INVALID'],
			['/v2/org/../app/manifests/latest', '400 NAME_INVALID'],
			['/v2/org/./app/manifests/latest', '400 NAME_INVALID'],
			['/v2/org/app;x/manifests/latest', '400 NAME_INVALID'],
			['/v2/org/app\\x/manifests/latest', '400 NAME_INVALID'],
			['/v2/__proto__/app/manifests/latest', '400 NAME_INVALID'],
			['/v2/manifests/latest', '400 NAME_INVALID'],
			['/v2//manifests/latest', '400 NAME_INVALID'],
			['/v2/tags/list', '400 NAME_INVALID'],
			[`/v2/${'a'.repeat(255)}/manifests/latest`, tag('a'.repeat(255), 'latest')],
			[`/v2/${'a'.repeat(256)}/manifests/latest`, '400 NAME_INVALID'],
			[`/v2/${'a'.repeat(1024)}/manifests/latest`, '414 NAME_INVALID'],
			[`/v2/${'a'.repeat(1003)}/manifests/latest`, '400 NAME_INVALID'],
			[`/v2/${'a'.repeat(1004)}/manifests/latest`, '414 NAME_INVALID'],
			[`/v2/org/app/manifests/latest?ns=${'a'.repeat(2000)}`, tag('org/app', 'latest')],
		],
		parse,
	);
});

describe('parseRegistryRequest: tags and digests that are none', () => {
	table(
		[
			[`/v2/org/app/manifests/${'a'.repeat(128)}`, tag('org/app', 'a'.repeat(128))],
			[`/v2/org/app/manifests/${'a'.repeat(129)}`, '400 TAG_INVALID'],
			['/v2/org/app/manifests/_A.b-C', tag('org/app', '_A.b-C')],
			['/v2/org/app/manifests/', '400 TAG_INVALID'],
			['/v2/org/app/manifests/.a', '400 TAG_INVALID'],
			['/v2/org/app/manifests/-a', '400 TAG_INVALID'],
			['/v2/org/app/manifests/2.4.0+rev1', '400 TAG_INVALID'],
			['/v2/org/app/manifests/..', '400 TAG_INVALID'],
			['/v2/org/app/manifests/sha256:0', '400 DIGEST_INVALID'],
			[`/v2/org/app/manifests/${SHA256.toUpperCase()}`, '400 DIGEST_INVALID'],
			['/v2/org/app/manifests/org:latest', '400 DIGEST_INVALID'],
			['/v2/org/app/blobs/latest', '400 DIGEST_INVALID'],
			['/v2/org/app/blobs/', '400 DIGEST_INVALID'],
			[`/v2/org/app/blobs/${SHA256}0`, '400 DIGEST_INVALID'],
			[`/v2/org/app/blobs/${SHA256}%0a`, '400 DIGEST_INVALID'],
			['/v2/org/app/referrers/latest', '400 DIGEST_INVALID'],
			[`/v2/org/app/referrers/${SHA256}?artifactType=`, '400 MANIFEST_INVALID'],
			[`/v2/org/app/referrers/${SHA256}?artifactType=x`, '400 MANIFEST_INVALID'],
			[`/v2/org/app/referrers/${SHA256}?artifactType=a/b%0d%0ax`, '400 MANIFEST_INVALID'],
			[`/v2/org/app/referrers/${SHA256}?artifactType=%20a/b`, '400 MANIFEST_INVALID'],
			[`/v2/org/app/referrers/${SHA256}?artifactType=a/b`, referrers('artifactType=a%2Fb')],
			// Pages, in the registry's own words.
			...(
				[
					['n=1', 'n=1'],
					['n=2&last=sha256:0&artifactType=a/b', 'n=2&last=sha256%3A0&artifactType=a%2Fb'],
					['nextToken=a%2B%2F%3D', 'nextToken=a%2B%2F%3D'],
					['nextToken=a%26x%3D1%23%3F', 'nextToken=a%26x%3D1%23%3F'],
					['next_page=1&page=2&page_size=3&ns=bh.cr&x=../y&__proto__=1', 'next_page=1&page=2&page_size=3'],
					['n=1&n=2', 'n=1'],
					['ns=bh.cr', undefined],
					[`nextToken=${'a'.repeat(2048)}`, `nextToken=${'a'.repeat(2048)}`],
				] as const
			).map(([sent, query]): [string, unknown] => [`/v2/org/app/referrers/${SHA256}?${sent}`, referrers(query)]),
			[`/v2/org/app/referrers/${SHA256}?nextToken=${'a'.repeat(2049)}`, '400 PAGINATION_NUMBER_INVALID'],
			[`/v2/org/app/referrers/${SHA256}?nextToken=a%0d%0ab`, '400 PAGINATION_NUMBER_INVALID'],
			[`/v2/org/app/referrers/${SHA256}?last=`, referrers('last=')],
			[
				`/v2/org/app/referrers/${SHA256}?artifactType=${'a'.repeat(127)}/${'b'.repeat(127)}`,
				referrers(`artifactType=${'a'.repeat(127)}%2F${'b'.repeat(127)}`),
			],
			[`/v2/org/app/referrers/${SHA256}?artifactType=${'a'.repeat(128)}/b`, '400 MANIFEST_INVALID'],
			[`/v2/org/app/referrers/${SHA256}?artifactType=a/${'b'.repeat(128)}`, '400 MANIFEST_INVALID'],
		],
		parse,
	);
});

describe('parseRegistryRequest: pages', () => {
	table(
		[
			['/v2/org/app/tags/list?n=10', tags('org/app', { n: 10 })],
			['/v2/org/app/tags/list?n=0', tags('org/app', { n: 0 })],
			['/v2/org/app/tags/list?n=10000', tags('org/app', { n: 10_000 })],
			['/v2/org/app/tags/list?n=999999999', tags('org/app', { n: 10_000 })],
			['/v2/org/app/tags/list?last=2.4.0', tags('org/app', { last: '2.4.0' })],
			['/v2/org/app/tags/list?n=5&last=2.4.0', tags('org/app', { n: 5, last: '2.4.0' })],
			['/v2/org/app/tags/list?last=', tags('org/app')],
			['/v2/_catalog?n=5', { kind: 'catalog', pagination: { n: 5 } }],
			['/v2/org/app/tags/list?n=', '400 PAGINATION_NUMBER_INVALID'],
			['/v2/org/app/tags/list?n=-1', '400 PAGINATION_NUMBER_INVALID'],
			['/v2/org/app/tags/list?n=1.5', '400 PAGINATION_NUMBER_INVALID'],
			['/v2/org/app/tags/list?n=1e3', '400 PAGINATION_NUMBER_INVALID'],
			['/v2/org/app/tags/list?n=0x10', '400 PAGINATION_NUMBER_INVALID'],
			['/v2/org/app/tags/list?n=9999999999', '400 PAGINATION_NUMBER_INVALID'],
			['/v2/org/app/tags/list?n=many', '400 PAGINATION_NUMBER_INVALID'],
			['/v2/org/app/tags/list?last=a/b', '400 TAG_INVALID'],
			['/v2/org/app/tags/list?last=%0d%0ax-evil:1', '400 TAG_INVALID'],
		],
		parse,
	);
});

describe('parseRegistryRequest: addresses that are not there', () => {
	table(
		[
			['/v2/x', '404 UNSUPPORTED'],
			['/v2/org/app', '404 UNSUPPORTED'],
			['/v2/org/app/', '404 UNSUPPORTED'],
			['/v2/org/app/manifests', '404 UNSUPPORTED'],
			['/v2/org/app/manifests/latest/', '404 UNSUPPORTED'],
			['/v2/org/app/manifests/latest/x', '404 UNSUPPORTED'],
			['/v2/org/app/tags', '404 UNSUPPORTED'],
			['/v2/org/app/tags/', '404 UNSUPPORTED'],
			['/v2/org/app/tags/list/', '404 UNSUPPORTED'],
			['/v2/org/app/tags/lists', '404 UNSUPPORTED'],
			['/v2/org/app/blobs/uploads/', '404 UNSUPPORTED'],
			['/v2/org/app/Manifests/latest', '404 UNSUPPORTED'],
			['/v2/org/app/constructor/latest', '404 UNSUPPORTED'],
			['/v2/_catalog/', '404 UNSUPPORTED'],
			['//', '404 UNSUPPORTED'],
			['/', '404 UNSUPPORTED'],
			['', '404 UNSUPPORTED'],
			['*', '404 UNSUPPORTED'],
			['/v3/org/app/manifests/latest', '404 UNSUPPORTED'],
			['/v2x/org/app/manifests/latest', '404 UNSUPPORTED'],
			['abcdorg/app/manifests/latest', '404 UNSUPPORTED'],
			['http://elsewhere/v2/org/app/manifests/latest', '404 UNSUPPORTED'],
		],
		parse,
	);
});

describe('parseRegistryRequest: what people are told, where they typed it', () => {
	const error = (url: string): RegistryError => {
		try {
			parseRegistryRequest(url);
		} catch (thrown) {
			assert.ok(thrown instanceof RegistryError);
			return thrown;
		}
		return assert.fail('not refused');
	};
	table<string>(
		[
			[
				'/v2/Org/app/manifests/latest',
				'the name is not a valid repository name: lower-case letters and digits, with single ".", "_" or "-" between them, as in <org>/<fleet>/<release>',
			],
			['/v2/org/app/manifests/2.4.0+rev1', 'the tag is not valid: up to 128 letters, digits, ".", "_" and "-"'],
		],
		(url) => error(url).forPeople && error(url).message,
	);
	test('a malformed escape is told of by its cause', () => assert.ok(error('/v2/%ff').cause instanceof URIError));
});
