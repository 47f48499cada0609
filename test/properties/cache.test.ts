import fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { LoadingCache, type Loaded } from '../../src/cache.ts';
import { check } from './check.ts';

type Step =
	| { do: 'get'; key: string }
	| { do: 'finish'; which: number; freshMs: number; staleMs: number }
	| { do: 'fail'; which: number }
	| { do: 'forget'; key: string }
	| { do: 'wait'; ms: number };

const key = fc.constantFrom('a', 'b', 'c');
const step: fc.Arbitrary<Step> = fc.oneof(
	{ arbitrary: fc.record({ do: fc.constant('get' as const), key }), weight: 4 },
	{
		arbitrary: fc.record({
			do: fc.constant('finish' as const),
			which: fc.nat(5),
			freshMs: fc.constantFrom(0, 5, 20),
			staleMs: fc.constantFrom(0, 5, 20),
		}),
		weight: 3,
	},
	{ arbitrary: fc.record({ do: fc.constant('fail' as const), which: fc.nat(5) }), weight: 2 },
	{ arbitrary: fc.record({ do: fc.constant('forget' as const), key }), weight: 1 },
	{ arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 15 }) }), weight: 2 },
);

interface Value {
	key: string;
	/** How often the key had been forgotten when its load began. */
	generation: number;
	usableUntil: number;
}

describe('LoadingCache', () => {
	check(
		'gives each key its own values, none that was forgotten or is too old, by one load at a time',
		fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
			let now = 0;
			const cache = new LoadingCache<Value>({ max: 2, now: () => now });
			const generations = new Map<string, number>();
			const loads: { key: string; generation: number; settle: PromiseWithResolvers<Loaded<Value>> }[] = [];
			const asked: Promise<void>[] = [];

			const get = (wanted: string): void => {
				const generation = generations.get(wanted) ?? 0;
				const value = cache.get(wanted, () => {
					assert.ok(!loads.some((load) => load.key === wanted && load.generation === generation), 'two loads at once');
					const settle = Promise.withResolvers<Loaded<Value>>();
					loads.push({ key: wanted, generation, settle });
					return settle.promise;
				});
				asked.push(
					value.then(
						(given) => {
							assert.equal(given.key, wanted);
							assert.ok(given.generation >= generation, 'forgotten');
							assert.ok(now <= given.usableUntil, 'too old');
						},
						(error: Error) => assert.equal(error.message, `no ${wanted}`),
					),
				);
			};

			const settle = async (which: number, how: (load: (typeof loads)[number]) => void): Promise<void> => {
				const [load] = loads.splice(which % Math.max(1, loads.length), 1);
				if (load !== undefined) {
					how(load);
					// So that all who wait for it see it before the clock goes on.
					await new Promise(setImmediate);
				}
			};

			for (const current of steps) {
				switch (current.do) {
					case 'get':
						get(current.key);
						await Promise.resolve();
						break;
					case 'finish':
						await settle(current.which, (load) =>
							load.settle.resolve({
								value: { key: load.key, generation: load.generation, usableUntil: now + current.freshMs + current.staleMs },
								freshMs: current.freshMs,
								staleMs: current.staleMs,
							}),
						);
						break;
					case 'fail':
						await settle(current.which, (load) => load.settle.reject(new Error(`no ${load.key}`)));
						break;
					case 'forget':
						cache.forget(current.key);
						generations.set(current.key, (generations.get(current.key) ?? 0) + 1);
						break;
					case 'wait':
						now += current.ms;
				}
				// Of those that may stand in as many as of those that may not.
				assert.ok(cache.size <= 2 * 2);
			}
			while (loads.length > 0) {
				await settle(0, (load) => load.settle.reject(new Error(`no ${load.key}`)));
			}
			await Promise.all(asked);
		}),
		0.2,
	);
});
