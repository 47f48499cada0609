import { describe } from 'node:test';
import { redirectLife, signedUntil } from '../../../src/registry/redirect.ts';
import { table } from '../../support/table.ts';

const NOON = Date.UTC(2026, 10, 23, 12);
const HOUR = 3_600_000;

describe('signedUntil: when a signed URL ends', () => {
	table<string>(
		[
			['https://s3.example/b?X-Amz-Date=20261123T120000Z&X-Amz-Expires=1200&X-Amz-Signature=0', NOON + 1_200_000],
			['https://storage.example/b?X-Goog-Date=20261123T120000Z&X-Goog-Expires=3600', NOON + HOUR],
			['https://cdn.example/b?Expires=1795435200&Signature=0&Key-Pair-Id=K', 1_795_435_200_000],
			['https://blob.example/b?se=2026-11-23T13%3A00%3A00Z&sig=0', NOON + HOUR],
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
