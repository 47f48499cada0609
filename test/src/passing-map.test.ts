import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { PassingMap } from '../../src/passing-map.ts';

test('a map', () => {
	const map = new PassingMap<number>();
	const rows: [act: () => void, a: number | undefined, b: number | undefined][] = [
		[() => undefined, undefined, undefined],
		[() => map.set('a', 1), 1, undefined],
		[() => map.set('b', 2), 1, 2],
		[() => map.set('a', 3), 3, 2],
		[() => map.delete('a'), undefined, 2],
		[() => map.delete('a'), undefined, 2],
		[() => map.set('a', 4), 4, 2],
	];
	for (const [act, a, b] of rows) {
		act();
		assert.deepEqual([map.get('a'), map.get('b')], [a, b]);
	}
});

/*
 * V8 keeps what a long-lived map held whenever its table was made anew, until the next full collection: with a Map in its place, nearly all values are still there. In a process of its own, because the
 * test runner follows each promise, and so keeps them itself.
 */
test('what was loaded and given out does not wait for a full collection', async () => {
	const LOADS = 20_000;
	const code = `
		const { LoadingCache } = await import(${JSON.stringify(new URL('../../src/cache.ts', import.meta.url).href)});
		const cache = new LoadingCache({ max: 1 });
		async function load(key) {
			await null;
			return { value: new Array(200).fill(key), freshMs: 0 };
		}
		async function passing(loads) {
			for (let i = 0; i < loads; i += 32) {
				const atOnce = Array.from({ length: 32 }, (_, j) => cache.get('key ' + (i + j), () => load(i)));
				for (const one of atOnce) {
					await one;
				}
			}
		}
		await passing(2000);
		// The cache is old now, as that of a service is.
		gc(); gc(); gc();
		const before = process.memoryUsage().heapUsed;
		await passing(${LOADS});
		gc({ type: 'minor' }); gc({ type: 'minor' });
		console.log(process.memoryUsage().heapUsed - before);`;
	const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', '--input-type=module', '--eval', code], {
		env: { ...process.env, NODE_OPTIONS: '' },
	});
	const perLoad = Number(stdout) / LOADS;
	assert.ok(perLoad < 400, `${perLoad.toFixed(0)} bytes of each load are left, of 1,600 that a value has`);
});
