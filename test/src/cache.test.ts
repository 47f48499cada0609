import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LoadingCache, type Loaded } from '../../src/cache.ts';
import { table } from '../support/table.ts';
import { clocked, failing, fresh } from './clocked-cache.ts';

describe('LoadingCache: a value that is fresh for 100 ms and may stand in for 50 more', () => {
	// What a second `get` gives at some time, by what its own load would give.
	table<[at: number, load: 'works' | 'fails']>(
		[
			[[0, 'works'], 'old'],
			[[99, 'works'], 'old'],
			[[100, 'works'], 'new'],
			[[1000, 'works'], 'new'],
			[[99, 'fails'], 'old'],
			[[100, 'fails'], 'old, stale'],
			[[149, 'fails'], 'old, stale'],
			[[150, 'fails'], 'Error: down'],
			[[1000, 'fails'], 'Error: down'],
		],
		async ([time, load]) => {
			const { cache, at, stale } = clocked<string>();
			await cache.get('k', fresh('old', 100, 50));
			at(time);
			const value = await cache.get('k', load === 'works' ? fresh('new') : failing()).catch(String);
			return stale.length === 0 ? value : `${value}, stale`;
		},
	);
});

describe('LoadingCache: by the clock of the process', () => {
	test('keeps what is fresh', async () => {
		const cache = new LoadingCache<string>({ max: 1 });
		await cache.get('k', fresh('v', 3_600_000));
		assert.equal(cache.peek('k'), 'v');
	});
});

describe('LoadingCache: what is kept', () => {
	// What `peek` finds of a value, by how long it is fresh.
	table<[freshMs: number, at: number]>(
		[
			[[100, 0], 'v'],
			[[100, 99], 'v'],
			[[100, 100], undefined],
			[[1, 0], 'v'],
			[[0, 0], undefined],
			[[-1, 0], undefined],
			[[Infinity, 1e12], 'v'],
		],
		async ([freshMs, time]) => {
			const { cache, at } = clocked<string>();
			await cache.get('k', fresh('v', freshMs));
			at(time);
			return cache.peek('k');
		},
	);
	test('undefined is a value like any other', async () => {
		const { cache } = clocked<undefined>();
		await cache.get('k', fresh(undefined));
		await cache.get('k', () => assert.fail('loaded twice'));
	});
	test('a failure is not kept', async () => {
		const { cache } = clocked<string>();
		await assert.rejects(cache.get('k', failing()), /down/);
		assert.equal(await cache.get('k', fresh('v')), 'v');
	});
	test('a stale value stays stale, and is replaced once loading works', async () => {
		const { cache, at } = clocked<string>();
		await cache.get('k', fresh('old', 100, 1000));
		at(200);
		assert.equal(await cache.get('k', failing()), 'old');
		assert.equal(cache.peek('k'), undefined);
		assert.equal(await cache.get('k', fresh('new')), 'new');
		assert.equal(cache.peek('k'), 'new');
	});
	test('a value that is not to be kept replaces none that stands in', async () => {
		const { cache, at } = clocked<string>();
		await cache.get('k', fresh('old', 100, 1000));
		at(200);
		assert.equal(await cache.get('k', fresh('once', 0)), 'once');
		assert.equal(cache.peek('k'), undefined);
	});
	test('at most so many, and the one not used for longest goes first', async () => {
		const { cache } = clocked<string>(2);
		await cache.get('a', fresh('a'));
		await cache.get('b', fresh('b'));
		await cache.get('a', fresh('A'));
		await cache.get('c', fresh('c'));
		assert.deepEqual([cache.size, cache.peek('a'), cache.peek('b'), cache.peek('c')], [2, 'a', undefined, 'c']);
	});
	test('ten thousand keys stay inside the bound', async () => {
		const { cache } = clocked<number>(100);
		await Promise.all(Array.from({ length: 10_000 }, (_, i) => cache.get(String(i), fresh(i))));
		assert.equal(cache.size, 100);
	});
	test('keys are told apart exactly', async () => {
		const { cache } = clocked<string>(20);
		const keys = ['', ' ', 'a', 'A', 'a ', 'a\0', '__proto__', 'constructor', 'é', 'é'];
		for (const key of keys) {
			await cache.get(key, fresh(`value of ${key}`));
		}
		assert.deepEqual(
			keys.map((key) => cache.peek(key)),
			keys.map((key) => `value of ${key}`),
		);
	});
});

describe('LoadingCache: many at once', () => {
	test('10,000 for one key are one load', async () => {
		const { cache } = clocked<string>();
		let loads = 0;
		const release = Promise.withResolvers<void>();
		const values = Array.from({ length: 10_000 }, () =>
			cache.get('k', async () => {
				loads++;
				await release.promise;
				return { value: 'v', freshMs: 0 };
			}),
		);
		release.resolve();
		assert.deepEqual(new Set(await Promise.all(values)), new Set(['v']));
		assert.equal(loads, 1);
	});
	test('a load that fails fails for all who wait, and the next one starts anew', async () => {
		const { cache } = clocked<string>();
		const results = await Promise.allSettled([cache.get('k', failing('first')), cache.get('k', fresh('second'))]);
		assert.deepEqual(
			results.map((result) => result.status),
			['rejected', 'rejected'],
		);
		assert.equal(await cache.get('k', fresh('third')), 'third');
	});
	test('different keys load side by side', async () => {
		const { cache } = clocked<string>();
		const never = new Promise<never>(() => {});
		void cache.get('a', () => never);
		assert.equal(await cache.get('b', fresh('b')), 'b');
	});
	test('a load that throws before it returns a promise is a failure as well', async () => {
		const { cache } = clocked<string>();
		const load = (): Promise<never> => {
			throw new Error('at once');
		};
		await assert.rejects(cache.get('k', load), /at once/);
		assert.equal(await cache.get('k', fresh('v')), 'v');
	});
});

describe('LoadingCache: forget', () => {
	test('the next one loads', async () => {
		const { cache } = clocked<string>();
		await cache.get('k', fresh('old'));
		cache.forget('k');
		assert.equal(await cache.get('k', fresh('new')), 'new');
	});
	test('nothing stands in any more', async () => {
		const { cache, at } = clocked<string>();
		await cache.get('k', fresh('old', 100, 1000));
		at(200);
		cache.forget('k');
		await assert.rejects(cache.get('k', failing()), /down/);
	});
	test('what is loading is not kept', async () => {
		const { cache } = clocked<string>();
		const loading = cache.get('k', fresh('old'));
		cache.forget('k');
		assert.equal(await loading, 'old');
		assert.equal(cache.peek('k'), undefined);
	});
	test('what is loading does not let an old value stand in', async () => {
		const { cache, at } = clocked<string>();
		await cache.get('k', fresh('old', 100, 1000));
		at(200);
		const loading = cache.get('k', failing());
		cache.forget('k');
		await assert.rejects(loading, /down/);
	});
	test('a load from before does not get in the way of the one after', async () => {
		const { cache } = clocked<string>();
		const before = Promise.withResolvers<Loaded<string>>();
		const after = Promise.withResolvers<Loaded<string>>();
		const first = cache.get('k', () => before.promise);
		cache.forget('k');
		const second = cache.get('k', () => after.promise);
		before.resolve({ value: 'before', freshMs: 100 });
		assert.equal(await first, 'before');
		const third = cache.get('k', () => assert.fail('the second is still loading'));
		after.resolve({ value: 'after', freshMs: 100 });
		assert.deepEqual([await second, await third, cache.peek('k')], ['after', 'after', 'after']);
	});
	test('a key that is not there', () => clocked().cache.forget('k'));
});

describe('LoadingCache: counts', () => {
	test('hits, misses and stale answers', async () => {
		const { cache, at } = clocked<string>();
		await Promise.all([cache.get('k', fresh('v', 100, 100)), cache.get('k', fresh('v'))]);
		await cache.get('k', fresh('v'));
		at(150);
		await cache.get('k', failing());
		assert.deepEqual(cache.counts, { hits: 2, misses: 2, stale: 1 });
	});
});
