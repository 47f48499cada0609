import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../support/run.ts';

const MODULE = fileURLToPath(new URL('../../../src/process/minor-gc.ts', import.meta.url));
const MIB = 1024 * 1024;

/** What V8 prints of a collection that was asked for, in place of one that it found necessary. */
const ASKED_FOR = /Scavenge .* testing;/g;

describe('minorGcByBytes: a collection of the young generation for each 16 MiB', () => {
	for (const [chunks, length, collections] of [
		[1, 16 * MIB - 1, 0],
		[1, 16 * MIB, 1],
		[15, MIB, 0],
		[16, MIB, 1],
		[31, MIB, 1],
		[64, MIB, 4],
		// However long a chunk is, one collection is enough for it.
		[2, 100 * MIB, 2],
	] as const) {
		test(`${chunks} × ${length}: ${collections}`, async () => {
			const program = `import { minorGcByBytes } from '${MODULE}'; const passed = minorGcByBytes();
				for (let i = 0; i < ${chunks}; i++) passed(${length});`;
			const { code, printed } = await run(process.execPath, ['--trace-gc', '--input-type=module', '--eval', program]);
			assert.equal(code, 0, printed);
			assert.equal(printed.match(ASKED_FOR)?.length ?? 0, collections, printed);
			// A full one would cost more than it saves.
			assert.doesNotMatch(printed, /Mark-Compact .* testing;/);
		});
	}
});
