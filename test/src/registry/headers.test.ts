import { describe } from 'node:test';
import { forwardedRequestHeaders, forwardedResponseHeaders, headerText, rewriteLocation } from '../../../src/registry/headers.ts';
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

describe('forwardedResponseHeaders: what a client may see of the registry', () => {
	table(
		[
			[{}, {}],
			[
				{
					'content-type': 'a/b',
					'content-length': '5',
					'docker-content-digest': 'sha256:0',
					etag: '"x"',
					'accept-ranges': 'bytes',
					'content-range': 'bytes 0-4/5',
					location: '/x',
					'x-new': '1',
				},
				{
					'content-type': 'a/b',
					'content-length': '5',
					'docker-content-digest': 'sha256:0',
					etag: '"x"',
					'accept-ranges': 'bytes',
					'content-range': 'bytes 0-4/5',
					location: '/x',
					'x-new': '1',
				},
			],
			// Bodies pass as they are, and so does what says how they are encoded.
			[
				{ 'content-encoding': 'gzip', vary: 'accept-encoding' },
				{ 'content-encoding': 'gzip', vary: 'accept-encoding' },
			],
			[
				{
					connection: 'close',
					'keep-alive': 'timeout=5',
					'proxy-authenticate': 'Basic',
					'proxy-connection': 'x',
					te: 'x',
					trailer: 'x',
					'transfer-encoding': 'chunked',
					upgrade: 'h2c',
				},
				{},
			],
			// Its challenge names the repository behind the friendly name; cookies and transport security are its own host's.
			[
				{
					['__proto__']: ['a', 'b'],
					'www-authenticate': 'Bearer realm="x"',
					'set-cookie': ['a=b'],
					'strict-transport-security': 'max-age=1',
					'alt-svc': 'h3=":443"',
					'clear-site-data': '"*"',
					'x-request-id': 'x',
				},
				{},
			],
		],
		forwardedResponseHeaders,
	);
});

describe('rewriteLocation: redirects back to https://registry:5000', () => {
	table(
		[
			['https://registry:5000/v2/v2/0123/blobs/sha256:0?_state=x', 'https://bh.cr/v2/v2/0123/blobs/sha256:0?_state=x'],
			// A registry behind TLS termination may think that it is plain http.
			['http://registry:5000/v2/', 'https://bh.cr/v2/'],
			['HTTPS://REGISTRY:5000/v2/', 'https://bh.cr/v2/'],
			['//registry:5000/v2/', 'https://bh.cr/v2/'],
			['https://user:pass@registry:5000/v2/#x', 'https://bh.cr/v2/'],
			['https://registry:5000', 'https://bh.cr/'],
			['https://registry:5000//elsewhere/x', 'https://bh.cr//elsewhere/x'],
			// Elsewhere, or relative and so on this proxy already.
			['https://bucket.s3.amazonaws.com/x?X-Amz-Signature=0%2F', 'https://bucket.s3.amazonaws.com/x?X-Amz-Signature=0%2F'],
			['https://registry:5001/v2/', 'https://registry:5001/v2/'],
			['https://registry/v2/', 'https://registry/v2/'],
			['https://registry:5000.elsewhere/', 'https://registry:5000.elsewhere/'],
			['https://registry:5000@elsewhere/', 'https://registry:5000@elsewhere/'],
			['//elsewhere/v2/', '//elsewhere/v2/'],
			['/v2/v2/0123/blobs/sha256:0', '/v2/v2/0123/blobs/sha256:0'],
			['../x', '../x'],
			['http://169.254.169.254/latest/meta-data', 'http://169.254.169.254/latest/meta-data'],
			['https://[', 'https://['],
			['', ''],
		],
		(location) => rewriteLocation(location, 'https://registry:5000', 'https://bh.cr'),
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
