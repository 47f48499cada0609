import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sentence } from '../../../src/page/layout.ts';

describe('sentences', () => {
	for (const [text, written] of [
		['there is nothing', 'There is nothing.'],
		['release 1 of acme/fleet', 'Release 1 of acme/fleet.'],
		// A name would be another one with a capital.
		['acme/fleet has no release 3', 'acme/fleet has no release 3.'],
		['"x" is not a reference', '"x" is not a reference.'],
	] as const) {
		test(written, () => assert.equal(sentence(text), written));
	}
});
