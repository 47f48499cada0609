import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, test } from 'node:test';
import { digestsIn, isAcceptable, matchesEtag, MAX_MANIFEST_BYTES, verifyDigest } from '../../../src/registry/manifest.ts';
import { table } from '../../support/table.ts';

const OCI = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

const of = (algorithm: string, text: string): string => `${algorithm}:${hash(algorithm, text, 'hex')}`;

describe('verifyDigest', () => {
	table<[text: string, digest: string]>(
		[
			[['{}', of('sha256', '{}')], true],
			[['{}', of('sha512', '{}')], true],
			[['', of('sha256', '')], true],
			[['{} ', of('sha256', '{}')], false],
			[['{}', of('sha256', '')], false],
			[['{}', `sha512:${hash('sha256', '{}', 'hex')}`], false],
			[['{}', of('sha256', '{}').toUpperCase().replace('SHA', 'sha')], false],
		],
		([text, digest]) => verifyDigest(Buffer.from(text), digest),
	);
});

test('a manifest that is kept has 4 MiB at the most', () => assert.equal(MAX_MANIFEST_BYTES, 4_194_304));

describe('isAcceptable: whether a client takes an OCI manifest', () => {
	table<string | undefined>(
		[
			[undefined, true],
			['*/*', true],
			[OCI, true],
			[`${INDEX}, ${OCI}`, true],
			[`${INDEX},${OCI}`, true],
			[`application/json, */*`, true],
			[INDEX, false],
			['application/vnd.docker.distribution.manifest.v2+json', false],
			['application/*', false],
			['', false],
		],
		(accept) => isAcceptable(accept, OCI),
	);
});

describe('matchesEtag', () => {
	table<string | undefined>(
		[
			[undefined, false],
			['', false],
			['*', true],
			[' * ', true],
			[`"${DIGEST}"`, true],
			[`W/"${DIGEST}"`, true],
			[`"other", "${DIGEST}"`, true],
			['"other"', false],
			[DIGEST, false],
			[`"${DIGEST}0"`, false],
		],
		(ifNoneMatch) => matchesEtag(ifNoneMatch, DIGEST),
	);
});

describe('digestsIn: a manifest and what it refers to', () => {
	const A = `sha256:${'a'.repeat(64)}`;
	const B = `sha256:${'b'.repeat(64)}`;
	const C = `sha512:${'c'.repeat(128)}`;
	table<unknown>(
		[
			[{ config: { digest: A }, layers: [{ digest: B }, { digest: C }] }, [DIGEST, A, B, C]],
			[{ manifests: [{ digest: A }, { digest: B }] }, [DIGEST, A, B]],
			[{ config: { digest: A }, layers: [null, 'x', {}, { digest: 1 }, { digest: '../x' }, { digest: B }] }, [DIGEST, A, B]],
			[{ manifests: [] }, [DIGEST]],
			[{ config: null, layers: 'x', manifests: 1 }, [DIGEST]],
			[{}, [DIGEST]],
			[[], [DIGEST]],
			[null, [DIGEST]],
			['x', [DIGEST]],
		],
		(content) => digestsIn({ bytes: Buffer.from(JSON.stringify(content)), digest: DIGEST }),
	);
	test('is bounded', () => {
		const bytes = Buffer.from(JSON.stringify({ layers: Array.from({ length: 20_000 }, () => ({ digest: A })) }));
		assert.ok(digestsIn({ bytes, digest: DIGEST }).length <= 1001);
	});
	table<string>(
		[
			['{"config"', [DIGEST]],
			['', [DIGEST]],
		],
		(text) => digestsIn({ bytes: Buffer.from(text), digest: DIGEST }),
	);
});
