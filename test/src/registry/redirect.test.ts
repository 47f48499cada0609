import { describe } from 'node:test';
import { readRedirect, redirectLife, signedUntil } from '../../../src/registry/redirect.ts';
import { table } from '../../support/table.ts';

const NOON = Date.UTC(2026, 10, 23, 12);
const HOUR = 3_600_000;

const REPOSITORY = `v2/${'0123456789abcdef'.repeat(2)}`;
const BLOB = `/v2/${REPOSITORY}/blobs/sha256:${'0'.repeat(64)}`;
const OTHER = `/v2/${REPOSITORY}/blobs/sha256:${'1'.repeat(64)}`;

describe(`readRedirect: where https://registry:5000 sends a client that asks for ${BLOB}`, () => {
	const elsewhere = (location: string): unknown => ({ to: 'elsewhere', location });
	const registry = (path: string, isForToken = false): unknown => ({ to: 'registry', path, isForToken });
	table<string>(
		[
			// What this proxy serves under the same path.
			[`https://registry:5000${OTHER}`, { to: 'proxy', path: OTHER }],
			[OTHER, { to: 'proxy', path: OTHER }],
			[`sha256:${'1'.repeat(64)}`, elsewhere(`sha256:${'1'.repeat(64)}`)],
			[`./sha256:${'1'.repeat(64)}`, { to: 'proxy', path: OTHER }],
			// A registry behind TLS termination may think that it is plain http.
			[`http://registry:5000${OTHER}`, { to: 'proxy', path: OTHER }],
			[`HTTPS://REGISTRY:5000${OTHER}`, { to: 'proxy', path: OTHER }],
			[`//registry:5000${OTHER}`, { to: 'proxy', path: OTHER }],
			[`https://user:pass@registry:5000${OTHER}#x`, { to: 'proxy', path: OTHER }],
			// What it does not: the same again, with a query that would be dropped, of another kind, or not of the API.
			[`http://registry:5000${BLOB}`, registry(BLOB, true)],
			[`https://registry:5000${BLOB}?_state=x`, registry(`${BLOB}?_state=x`, true)],
			[`${BLOB}?a=b%2f`, registry(`${BLOB}?a=b%2f`, true)],
			['https://registry:5000/v2/', registry('/v2/', true)],
			['https://registry:5000/v2/library/alpine/manifests/latest', registry('/v2/library/alpine/manifests/latest', true)],
			['https://registry:5000/storage/x?X-Amz-Signature=0%2F', registry('/storage/x?X-Amz-Signature=0%2F')],
			['/login', registry('/login')],
			['https://registry:5000', registry('/')],
			['https://registry:5000//elsewhere/x', registry('//elsewhere/x')],
			['', registry(BLOB, true)],
			// Elsewhere.
			['https://bucket.s3.amazonaws.com/x?X-Amz-Signature=0%2F', elsewhere('https://bucket.s3.amazonaws.com/x?X-Amz-Signature=0%2F')],
			['https://registry:5001/v2/', elsewhere('https://registry:5001/v2/')],
			['https://registry/v2/', elsewhere('https://registry/v2/')],
			['https://registry:5000.elsewhere/', elsewhere('https://registry:5000.elsewhere/')],
			['https://registry:5000@elsewhere/', elsewhere('https://registry:5000@elsewhere/')],
			['//elsewhere/v2/', elsewhere('https://elsewhere/v2/')],
			['http://169.254.169.254/latest/meta-data', elsewhere('http://169.254.169.254/latest/meta-data')],
			['file:///etc/passwd', elsewhere('file:///etc/passwd')],
			['https://[', elsewhere('https://[')],
		],
		(location) => readRedirect(location, 'https://registry:5000', BLOB),
	);
});

describe('signedUntil: when a signed URL ends', () => {
	table<string>(
		[
			['https://s3.example/b?X-Amz-Date=20261123T120000Z&X-Amz-Expires=1200&X-Amz-Signature=0', NOON + 1_200_000],
			['https://storage.example/b?X-Goog-Date=20261123T120000Z&X-Goog-Expires=3600', NOON + HOUR],
			['https://cdn.example/b?Expires=1795435200&Signature=0&Key-Pair-Id=K', 1_795_435_200_000],
			['https://blob.example/b?se=2026-11-23T13%3A00%3A00Z&sig=0', NOON + HOUR],
			['https://s3.example/b?x-amz-date=20261123T120000Z&x-amz-expires=1200', NOON + 1_200_000],
			['https://oss.example/b?x-oss-date=20261123T120000Z&x-oss-expires=60&x-oss-signature=0', NOON + 60_000],
			['https://swift.example/b?temp_url_sig=0&temp_url_expires=1795435200', 1_795_435_200_000],
			['https://swift.example/b?temp_url_sig=0&temp_url_expires=2026-11-23T13:00:00Z', NOON + HOUR],
			['https://tos.example/b?X-Tos-Date=20261123T120000Z&X-Tos-Expires=60&X-Tos-Signature=0', NOON + 60_000],
			['https://mixed.example/b?X-Amz-Date=20261123T120000Z&X-Goog-Expires=60', undefined],
			['https://mixed.example/b?X-Tos-Expires=60&X-Amz-Date=20261123T120000Z&X-Amz-Expires=1200', NOON + 1_200_000],
			['https://cos.example/b?q-sign-algorithm=sha1&q-sign-time=1795431600;1795435200&q-signature=0', 1_795_435_200_000],
			['https://cdn.example/b?hdnts=st=1795431600~exp=1795435200~acl=/*~hmac=0', 1_795_435_200_000],
			['https://cdn.example/b?__token__=exp=1795435200~hmac=0', 1_795_435_200_000],
			[
				`https://cdn.example/b?Policy=${Buffer.from('{"Statement":[{"Resource":"*","Condition":{"DateLessThan":{"AWS:EpochTime":1795435200}}}]}').toString('base64').replaceAll('+', '-').replaceAll('=', '_').replaceAll('/', '~')}&Signature=0`,
				1_795_435_200_000,
			],
			['https://cdn.example/b?Policy=bm90aGluZw__&Signature=0', undefined],
			['https://cos.example/b?q-sign-time=1795435200', undefined],
			['https://cdn.example/b?hdnts=xexp=1795435200', undefined],
			['https://s3.example/b?X-Amz-Date=20261123T120000Z', undefined],
			['https://s3.example/b?X-Amz-Expires=1200', undefined],
			['https://s3.example/b?X-Amz-Date=yesterday&X-Amz-Expires=1200', undefined],
			['https://s3.example/b?X-Amz-Date=20261123T120000Z&X-Amz-Expires=soon', undefined],
			['https://s3.example/b?X-Amz-Date=20261123T120000Z&X-Amz-Expires=Infinity', undefined],
			['https://cdn.example/b?Expires=123456789', 123_456_789_000],
			['https://cdn.example/b?Expires=12345678901', 12_345_678_901_000],
			['https://cdn.example/b?Expires=12345678', undefined],
			['https://cdn.example/b?Expires=123456789012', undefined],
			['https://cdn.example/b?Expires=x123456789', undefined],
			['https://s3.example/b?X-Amz-Date=x20261123T120000Z&X-Amz-Expires=1200', undefined],
			['https://cdn.example/b?Expires=tomorrow', undefined],
			['https://cdn.example/b?Expires=12', undefined],
			['https://blob.example/b?se=soon', undefined],
			['https://plain.example/b', undefined],
			['/relative?Expires=1795435200', undefined],
			['', undefined],
			['http://[', undefined],
		],
		signedUntil,
	);
});

describe('redirectLife at noon, of two minutes at the most', () => {
	table<string>(
		[
			// Nothing is known of its end.
			['https://plain.example/b', 120_000],
			['/relative', 120_000],
			['https://plain.example/b?version=3', 120_000],
			['https://plain.example/b?versionid=2026-11-23&ns=registry.example', 120_000],
			// It looks signed, but its end is not legible.
			['https://cdn.example/b?Policy=bm90aGluZw__&Signature=0', 5000],
			['https://storage.example/b?sig=0', 5000],
			['https://storage.example/b?x=1&X-New-Signature=0', 5000],
			['https://storage.example/b?token=0', 5000],
			['https://cdn.example/b?auth_key=1795435200-0-0-d41d8cd98f00b204e9800998ecf8427e', 5000],
			['https://cdn.example/b?access=exp=1795435200~hmac=d41d8cd98f00b204e9800998ecf8427ed41d8cd98f00b204e9800998ecf8427e', 5000],
			['https://cdn.example/b?x=1795435200-zPw5LwP47%2BPKvK5hUYUdMUSgnIfHsKgAi%2FYr6dGG1cg%3D', 5000],
			['https://cdn.example/b?d41d8cd98f00b204e9800998ecf8427e', 5000],
			['https://cdn.example/b?x=1B2M2Y8AsgTpgAmY7PhCfg%3D%3D', 5000],
			// A late end, and one so early that half of the life is less.
			['https://s3.example/b?X-Amz-Date=20261123T120000Z&X-Amz-Expires=1200', 120_000],
			['https://s3.example/b?X-Amz-Date=20261123T120000Z&X-Amz-Expires=240', 120_000],
			['https://s3.example/b?X-Amz-Date=20261123T120000Z&X-Amz-Expires=100', 50_000],
			['https://s3.example/b?X-Amz-Date=20261123T115000Z&X-Amz-Expires=660', 30_000],
			// Over.
			['https://s3.example/b?X-Amz-Date=20261123T120000Z&X-Amz-Expires=0', 0],
			['https://s3.example/b?X-Amz-Date=20261123T110000Z&X-Amz-Expires=60', 0],
			['https://s3.example/b?X-Amz-Date=20261123T120000Z&X-Amz-Expires=-60', 0],
			['https://s3.example/b?X-Amz-Date=20261123T120000Z&X-Amz-Expires=1e308', 120_000],
		],
		(location) => redirectLife(location, NOON, 120_000),
	);
});
