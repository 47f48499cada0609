import type { IncomingHttpHeaders } from 'node:http';
import { describe } from 'node:test';
import {
	answerHeaders,
	followedHeaders,
	forwardedRequestHeaders,
	headerText,
	storageRequestHeaders,
} from '../../../src/registry/headers.ts';
import { table } from '../../support/table.ts';

describe('forwardedRequestHeaders: what the registry may see of a client', () => {
	table(
		[
			[{}, {}],
			[
				{
					accept: 'a/b',
					'accept-encoding': 'gzip',
					range: 'bytes=5-',
					'if-range': '"x"',
					'if-none-match': '"x"',
					'if-modified-since': 'x',
					'user-agent': 'docker/29',
				},
				{
					accept: 'a/b',
					'accept-encoding': 'gzip',
					range: 'bytes=5-',
					'if-range': '"x"',
					'if-none-match': '"x"',
					'if-modified-since': 'x',
					'user-agent': 'docker/29',
				},
			],
			[
				{
					accept: 'a/b',
					authorization: 'Basic eDp5',
					cookie: 'a=b',
					host: 'bh.cr',
					connection: 'close',
					'x-forwarded-for': '192.0.2.7',
					forwarded: 'for=x',
					te: 'trailers',
					origin: 'x',
					referer: 'x',
				},
				{ accept: 'a/b' },
			],
			[
				{
					'transfer-encoding': 'chunked',
					'content-length': '5',
					expect: '100-continue',
					upgrade: 'h2c',
					'x-http-method-override': 'PUT',
					'x-anything': '1',
				},
				{},
			],
		],
		forwardedRequestHeaders,
	);
});

describe('answerHeaders: what a client may see of the registry', () => {
	const BLOB = {
		'content-type': 'a/b',
		'content-length': '5',
		'docker-content-digest': 'sha256:0',
		etag: '"x"',
		'last-modified': 'Wed, 21 Oct 2026 07:28:00 GMT',
		'accept-ranges': 'bytes',
		'content-range': 'bytes 0-4/5',
	};
	table<[headers: IncomingHttpHeaders, isImmutable?: boolean]>(
		[
			[[{}], {}],
			[[BLOB], BLOB],
			// Bodies pass as they are, and so does what says how they are encoded.
			[[{ 'content-encoding': 'gzip', vary: 'accept-encoding' }], { 'content-encoding': 'gzip', vary: 'accept-encoding' }],
			// What the registry says to clients.
			[
				[{ warning: '299 - "deprecated"', 'oci-subject': 'sha256:0', 'oci-filters-applied': 'artifactType', link: '</v2/x>; rel="next"' }],
				// A link has the registry's own path: `ownLink`.
				{ warning: '299 - "deprecated"', 'oci-subject': 'sha256:0', 'oci-filters-applied': 'artifactType' },
			],
			[[{ warning: ['299 - "a"', '299 - "b"'] as never }], { warning: ['299 - "a"', '299 - "b"'] }],
			// The same bytes again: undici reads Latin-1, and Node writes it.
			[[{ warning: '299 - "\u00c3\u00a9"' }], { warning: '299 - "\u00c3\u00a9"' }],
			// How long it may be kept, by the client alone.
			[[{ 'cache-control': 'max-age=31536000' }, true], { 'cache-control': 'private, max-age=31536000' }],
			[[{ 'cache-control': 'public, immutable, Max-Age=60, s-maxage=5' }, true], { 'cache-control': 'private, max-age=60' }],
			[[{ 'cache-control': 's-maxage=5' }, true], {}],
			[[{ 'cache-control': 'max-age=60, no-store' }, true], {}],
			[[{ 'cache-control': 'max-age=x' }, true], {}],
			[[{ 'cache-control': 'max-age=31536000' }, false], {}],
			// Of one connection, of its own host, of a challenge that names the repository behind the friendly name, and of whatever nobody knows.
			[
				[
					{
						['__proto__']: ['a', 'b'],
						connection: 'close',
						'keep-alive': 'timeout=5',
						'transfer-encoding': 'chunked',
						'www-authenticate': 'Bearer realm="x"',
						'set-cookie': ['a=b'],
						'strict-transport-security': 'max-age=1',
						'alt-svc': 'h3=":443"',
						'clear-site-data': '"*"',
						'x-request-id': 'x',
						location: '/x',
						server: 'nginx/1.2.3',
						via: '1.1 inner.example',
						refresh: '0; url=https://evil.example',
						'content-security-policy': 'default-src *',
						'access-control-allow-origin': '*',
						'content-disposition': 'attachment',
						expires: 'Wed, 21 Oct 2026 07:28:00 GMT',
						age: '5',
						'x-new': '1',
					},
				],
				{},
			],
		],
		([headers, isImmutable = true]) => answerHeaders(headers, isImmutable),
	);
});

describe('followedHeaders: what a client may see of object storage', () => {
	const own = { 'content-type': 'application/octet-stream', 'docker-content-digest': 'sha256:0', etag: '"sha256:0"' };
	table<IncomingHttpHeaders>(
		[
			[{}, own],
			[
				{ 'content-length': '5', 'content-range': 'bytes 0-4/9', 'accept-ranges': 'bytes', 'content-encoding': 'gzip' },
				{ ...own, 'content-length': '5', 'content-range': 'bytes 0-4/9', 'accept-ranges': 'bytes', 'content-encoding': 'gzip' },
			],
			[
				{
					'content-type': 'text/html',
					'docker-content-digest': 'sha256:1',
					etag: '"md5"',
					'last-modified': 'x',
					'x-amz-request-id': 'x',
					server: 'AmazonS3',
					'cache-control': 'max-age=5',
					link: '</x>',
				},
				own,
			],
		],
		(headers) => followedHeaders(headers, 'sha256:0'),
	);
});

describe('storageRequestHeaders: what object storage may see of a client', () => {
	table<IncomingHttpHeaders>(
		[
			[{}, {}],
			[
				{ range: 'bytes=5-', 'accept-encoding': 'gzip', 'user-agent': 'docker/29' },
				{ range: 'bytes=5-', 'accept-encoding': 'gzip', 'user-agent': 'docker/29' },
			],
			[{ range: 'bytes=5-', 'if-range': '"sha256:0"' }, { range: 'bytes=5-' }],
			// Of another blob: the whole.
			[{ range: 'bytes=5-', 'if-range': '"sha256:1"' }, {}],
			[
				{ authorization: 'Bearer x', cookie: 'a=b', accept: 'a/b', 'if-none-match': '"x"', 'if-modified-since': 'x', 'x-request-id': 'x' },
				{},
			],
		],
		(headers) => storageRequestHeaders(headers, 'sha256:0'),
	);
});

describe('headerText: a sentence as a header or a reason phrase', () => {
	table(
		[
			['org/app has no release 9; its latest is 2.4.0', 'org/app has no release 9; its latest is 2.4.0'],
			['a\r\nx-evil: 1', 'a x-evil: 1'],
			['a\0\x1b[31m\x7fb', 'a [31m b'],
			['„Größe“', 'Gr e'],
			['  a  ', 'a'],
			['\n', ''],
			['', ''],
			['x'.repeat(500), 'x'.repeat(400)],
		],
		headerText,
	);
});
