import assert from 'node:assert/strict';
import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks';
import { describe, test } from 'node:test';
import { minorGcByBytes } from '../../../src/process/minor-gc.ts';

const MIB = 1024 * 1024;

describe('minorGcByBytes', () => {
	test('collects the young generation for each 16 MiB that it is told of', { timeout: 60_000 }, async () => {
		const { promise, resolve } = Promise.withResolvers<void>();
		let collections = 0;
		const observer = new PerformanceObserver((list) => {
			for (const { detail } of list.getEntries() as (PerformanceEntry & { detail: { kind: number } })[]) {
				if (detail.kind === constants.NODE_PERFORMANCE_GC_MINOR && ++collections === 4) {
					resolve();
				}
			}
		});
		observer.observe({ entryTypes: ['gc'] });
		const passed = minorGcByBytes();
		for (let i = 0; i < 64; i++) {
			passed(MIB);
		}
		await promise;
		observer.disconnect();
		assert.ok(collections >= 4);
	});
});
