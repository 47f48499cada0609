import fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { ARCHITECTURES } from '../../src/balena/architectures.ts';
import { INDEX_TYPES, makeIndex, type Child } from '../../src/registry/platform-index.ts';
import { digestOf } from '../upstream/image.ts';
import { check } from './check.ts';

/* No input gives two different sets of releases one digest: docs/architectures.md. */

const [OCI] = INDEX_TYPES;
const IMAGE = 'application/vnd.oci.image.manifest.v1+json';

describe('the index', () => {
	const child = fc.tuple(fc.constantFrom(...ARCHITECTURES), fc.constantFrom('a', 'b', 'c', 'd')).map(([{ platform }, text]): Child => ({
		platform,
		manifest: { bytes: Buffer.from(text), mediaType: IMAGE, digest: digestOf(text) },
	}));
	const children = fc.uniqueArray(child, { maxLength: 5, selector: ({ platform }) => platform.architecture + platform.variant });
	check(
		'two different sets of images have two digests, and the same ones one',
		// Of two that are made apart few are alike: the second is the first with one image changed, or left out.
		fc.property(children, fc.nat(4), fc.constantFrom('a', 'b', 'c', undefined), (a, at, text) => {
			const b = a.flatMap((one, i) => {
				if (i !== at || text === undefined) {
					return i === at ? [] : [one];
				}
				return [{ ...one, manifest: { ...one.manifest, bytes: Buffer.from(text), digest: digestOf(text) } }];
			});
			const of = (set: Child[]): unknown => set.map(({ platform, manifest }) => [platform, manifest.digest]);
			const isSame = JSON.stringify(of(a)) === JSON.stringify(of(b));
			assert.equal(makeIndex(a, OCI).digest === makeIndex(b, OCI).digest, isSame);
		}),
	);
});
