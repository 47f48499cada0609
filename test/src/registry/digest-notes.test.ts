import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DigestNotes } from '../../../src/registry/digest-notes.ts';

const LIFE_MS = 1000;

/** Notes, and a clock that begins at 0. */
function start(): { notes: DigestNotes; clock: { now: number } } {
	const clock = { now: 0 };
	return { notes: new DigestNotes({ max: 100, lifeMs: LIFE_MS, now: () => clock.now }), clock };
}

describe('DigestNotes', () => {
	test('a note ends, so that a fleet that was public is as one that never was', () => {
		const { notes, clock } = start();
		notes.add('acme/app', 'v2/a', 'manifest', () => ['layer'], 'caller');
		for (const digest of ['manifest', 'layer']) {
			clock.now = LIFE_MS - 1;
			assert.deepEqual([notes.has('acme/app', digest), notes.find('acme/app', digest, 'caller')], [true, 'v2/a']);
			clock.now = LIFE_MS;
			assert.deepEqual([notes.has('acme/app', digest), notes.find('acme/app', digest, 'caller')], [false, undefined]);
		}
	});
	test('what is served goes on to be noted, with all that it refers to', () => {
		const { notes, clock } = start();
		for (const now of [0, LIFE_MS * 0.6, LIFE_MS * 1.2]) {
			clock.now = now;
			notes.add('acme/app', 'v2/a', 'manifest', () => ['layer'], 'caller');
		}
		clock.now = LIFE_MS * 2;
		assert.equal(notes.find('acme/app', 'layer', 'caller'), 'v2/a');
	});
	// What is noted of a digest alone: by a HEAD, which has no bytes; by a search; by what refers to it.
	for (const [what, before] of Object.entries({
		'of a HEAD': ['manifest', ['manifest']],
		'of a search': ['manifest', []],
		'of what refers to it': ['index', ['index', 'manifest']],
	} as Record<string, [digest: string, others: string[]]>)) {
		test(`a note ${what} does not stand for those of what a manifest refers to`, () => {
			const { notes } = start();
			notes.add('acme/app', 'v2/a', before[0], () => before[1], 'caller');
			notes.add('acme/app', 'v2/a', 'manifest', () => ['manifest', 'layer'], 'caller');
			assert.equal(notes.find('acme/app', 'layer', 'caller'), 'v2/a');
		});
	}
	test('is of one caller and one fleet', () => {
		const { notes } = start();
		notes.add('acme/app', 'v2/a', 'manifest', () => [], 'caller');
		assert.equal(notes.find('acme/app', 'manifest', 'another'), undefined);
		assert.equal(notes.find('acme/other', 'manifest', 'caller'), undefined);
		assert.equal(notes.has('acme/other', 'manifest'), false);
	});
	test('the newest eight of one digest stay', () => {
		const { notes } = start();
		for (let i = 0; i < 9; i++) {
			notes.add('acme/app', 'v2/a', 'manifest', () => [], `caller ${i}`);
		}
		assert.equal(notes.find('acme/app', 'manifest', 'caller 0'), undefined);
		assert.equal(notes.find('acme/app', 'manifest', 'caller 1'), 'v2/a');
	});
});
