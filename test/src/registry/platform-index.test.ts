import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, test } from 'node:test';
import type { Manifest } from '../../../src/registry/manifest.ts';
import { indexMediaType, makeIndex, type Child, type Platform } from '../../../src/registry/platform-index.ts';
import { table } from '../../support/table.ts';

const OCI = 'application/vnd.oci.image.index.v1+json';
const DOCKER = 'application/vnd.docker.distribution.manifest.list.v2+json';
const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
const AMD64: Platform = { os: 'linux', architecture: 'amd64' };
const ARM64: Platform = { os: 'linux', architecture: 'arm64', variant: 'v8' };
const digestOf = (text: string): string => `sha256:${hash('sha256', text, 'hex')}`;

function manifest(text: string, mediaType = IMAGE): Manifest {
	return { bytes: Buffer.from(text), mediaType, digest: digestOf(text) };
}

function entriesOf(children: Child[]): unknown {
	return (JSON.parse(makeIndex(children, OCI).bytes.toString()) as { manifests: unknown }).manifests;
}

const entry = (text: string, platform: unknown, more: object = {}): object => ({
	mediaType: IMAGE,
	digest: digestOf(text),
	size: text.length,
	platform,
	...more,
});

describe('the form of the index, by what a client accepts', () => {
	table<string | undefined>(
		[
			[undefined, OCI],
			['*/*', OCI],
			[`${IMAGE}, ${OCI}, ${DOCKER}`, OCI],
			[DOCKER, DOCKER],
			[IMAGE, undefined],
			['application/json', undefined],
		],
		indexMediaType,
	);
});

describe('the entries', () => {
	const index = (manifests: unknown, mediaType = OCI): Child => ({
		platform: ARM64,
		manifest: manifest(JSON.stringify({ manifests }), mediaType),
	});
	const rows: [what: string, children: Child[], entries: unknown][] = [
		['of nothing', [], []],
		['an image', [{ platform: AMD64, manifest: manifest('one') }], [entry('one', AMD64)]],
		[
			'two images, in their order',
			[
				{ platform: ARM64, manifest: manifest('two') },
				{ platform: AMD64, manifest: manifest('one') },
			],
			[entry('two', ARM64), entry('one', AMD64)],
		],
		['an index gives its own', [index([entry('a', AMD64), entry('b', ARM64)])], [entry('a', AMD64), entry('b', ARM64)]],
		["Docker's list as well", [index([entry('a', AMD64)], DOCKER)], [entry('a', AMD64)]],
		[
			'a platform that is there already',
			[{ platform: AMD64, manifest: manifest('one') }, index([entry('a', AMD64)])],
			[entry('one', AMD64)],
		],
		['no attestation', [index([entry('a', { os: 'unknown', architecture: 'unknown' })])], []],
		[
			'nothing but what an entry has to have',
			[index([entry('a', { ...AMD64, more: 1 }, { urls: ['http://x'], annotations: { a: 'b' } })])],
			[entry('a', AMD64)],
		],
		...[
			null,
			1,
			'x',
			{},
			entry('a', null),
			entry('a', AMD64, { digest: 'sha256:x' }),
			entry('a', AMD64, { size: -1 }),
			entry('a', AMD64, { size: 1.5 }),
			entry('a', { os: 'a b', architecture: 'c' }),
			entry('a', AMD64, { mediaType: 'a\nb' }),
		].map((bad) => [`no ${JSON.stringify(bad)}`, [index([bad])], []] as [string, Child[], unknown]),
		['an index that is not legible', [{ platform: AMD64, manifest: manifest('{', OCI) }], []],
		['an index without a list', [index('x')], []],
		['an index of more than 128 KB', [index([entry('a', AMD64, { annotations: { a: 'x'.repeat(131_000) } })])], []],
		['one of less', [index([entry('a', AMD64, { annotations: { a: 'x'.repeat(130_000) } })])], [entry('a', AMD64)]],
	];
	for (const [what, children, entries] of rows) {
		test(what, () => assert.deepEqual(entriesOf(children), entries));
	}
});

test('an index that is a child is read once', (t) => {
	const child: Child = { platform: ARM64, manifest: manifest(JSON.stringify({ manifests: [entry('a', AMD64)] }), OCI) };
	const { mock } = t.mock.method(JSON, 'parse');
	for (const mediaType of [OCI, DOCKER, OCI]) {
		makeIndex([child], mediaType);
	}
	assert.equal(mock.callCount(), 1);
});

test('digest and length are those of the bytes, and the bytes those of the children alone', () => {
	const children: Child[] = [{ platform: AMD64, manifest: manifest('one') }];
	const [made, again] = [
		makeIndex(children, OCI),
		makeIndex(
			structuredClone(children).map(({ platform }) => ({ platform, manifest: manifest('one') })),
			OCI,
		),
	];
	assert.deepEqual(made, again);
	assert.equal(made.digest, digestOf(made.bytes.toString()));
	assert.equal(made.mediaType, OCI);
	assert.equal(
		made.bytes.toString(),
		`{"schemaVersion":2,"mediaType":"${OCI}","manifests":[{"mediaType":"${IMAGE}","digest":"${digestOf('one')}","size":3,"platform":{"os":"linux","architecture":"amd64"}}]}`,
	);
});
