import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import type { Loaded, LoadingCache } from '../../src/cache.ts';
import { overloadedError, RegistryError } from '../../src/errors.ts';
import { clocked, fresh } from './clocked-cache.ts';

describe('LoadingCache: a load that takes its time', () => {
	/** A value for 100 ms that may stand in for 10 s more, and a load that has begun after that and does not end. */
	async function hanging(t: TestContext): Promise<{
		at: (ms: number) => void;
		stale: unknown[];
		answer: PromiseWithResolvers<Loaded<string>>;
		cache: LoadingCache<string>;
		connection: EventEmitter;
		asked: Promise<string>;
	}> {
		t.mock.timers.enable({ apis: ['setTimeout'] });
		const { cache, at, stale } = clocked<string>();
		await cache.get('k', fresh('old', 100, 10_000));
		at(200);
		const answer = Promise.withResolvers<Loaded<string>>();
		const connection = new EventEmitter();
		return { at, stale, answer, cache, connection, asked: cache.get('k', () => answer.promise, connection) };
	}
	/** What has come of a promise by the end of this turn. */
	const state = (promise: Promise<string>): Promise<string> =>
		Promise.race([promise.catch(String), new Promise<string>((resolve) => setImmediate(resolve, 'waits'))]);

	test('is waited for, for two seconds', async (t) => {
		const { asked, stale } = await hanging(t);
		t.mock.timers.tick(1999);
		assert.equal(await state(asked), 'waits');
		t.mock.timers.tick(1);
		assert.equal(await state(asked), 'old');
		assert.deepEqual(stale.map(String), ['Error: no answer for 2 s']);
	});
	test('is the answer if it ends in time', async (t) => {
		const { asked, answer, cache, stale } = await hanging(t);
		answer.resolve({ value: 'new', freshMs: 100 });
		assert.equal(await state(asked), 'new');
		t.mock.timers.tick(10_000);
		assert.deepEqual([stale, cache.counts.stale, cache.peek('k')], [[], 0, 'new']);
	});
	test('goes on when who began it has the old value and is gone, and is for the next', async (t) => {
		const { asked, answer, cache, connection } = await hanging(t);
		t.mock.timers.tick(2000);
		assert.equal(await state(asked), 'old');
		connection.emit('close');
		const next = cache.get('k', () => assert.fail('loaded twice'));
		answer.resolve({ value: 'new', freshMs: 100 });
		assert.deepEqual([await next, cache.peek('k'), cache.counts], ['new', 'new', { hits: 1, misses: 2, stale: 1 }]);
	});
	test('that another began is waited for, for two seconds, also where nobody comes after that', async (t) => {
		t.mock.timers.enable({ apis: ['setTimeout'] });
		const { cache, at } = clocked<string>();
		const first = cache.get('k', () => new Promise(() => undefined));
		const second = cache.get('k', fresh('second'));
		t.mock.timers.tick(1999);
		assert.equal(await state(second), 'waits');
		at(2000);
		t.mock.timers.tick(1);
		assert.deepEqual(await Promise.all([first, second]), ['second', 'second']);
	});
	test('that fails later does no harm', async (t) => {
		const { asked, answer, stale } = await hanging(t);
		t.mock.timers.tick(2000);
		assert.equal(await state(asked), 'old');
		answer.reject(new Error('down'));
		assert.equal(await state(asked), 'old');
		assert.equal(stale.length, 2);
	});
	test('is waited for to its end where the old value has grown too old meanwhile', async (t) => {
		const { at, asked, answer } = await hanging(t);
		at(10_100);
		t.mock.timers.tick(2000);
		assert.equal(await state(asked), 'waits');
		answer.resolve({ value: 'new', freshMs: 100 });
		assert.equal(await state(asked), 'new');
	});
	test('is waited for to its end where the old value was forgotten meanwhile', async (t) => {
		const { asked, answer, cache } = await hanging(t);
		cache.forget('k');
		t.mock.timers.tick(2000);
		assert.equal(await state(asked), 'waits');
		answer.resolve({ value: 'new', freshMs: 100 });
		assert.equal(await state(asked), 'new');
	});
	test('is waited for to its end where there is nothing to stand in', async (t) => {
		t.mock.timers.enable({ apis: ['setTimeout'] });
		const { cache, at } = clocked<string>();
		await cache.get('k', fresh('old', 100, 50));
		at(150);
		const answer = Promise.withResolvers<Loaded<string>>();
		const asked = cache.get('k', () => answer.promise);
		t.mock.timers.tick(100_000);
		assert.equal(await state(asked), 'waits');
		answer.resolve({ value: 'new', freshMs: 100 });
		assert.equal(await state(asked), 'new');
	});
});

describe('LoadingCache: a refusal that is about who began the load', () => {
	const REFUSALS: Record<string, Error> = {
		'too many of its own': new RegistryError('TOOMANYREQUESTS', 'too many new names from this address', { limit: 'name' }),
		'its share is full': overloadedError('api'),
	};
	for (const [what, refusal] of Object.entries(REFUSALS)) {
		test(`${what}: it is told to nobody else, and the next who waits begins anew`, async () => {
			const { cache } = clocked<string>();
			const loads: string[] = [];
			const gone = new EventEmitter();
			const ask = (who: string, load: () => Promise<Loaded<string>>, connection?: EventEmitter): Promise<string> =>
				cache.get(
					'k',
					async () => {
						loads.push(who);
						return load();
					},
					connection,
				);
			const first = Promise.withResolvers<Loaded<string>>();
			const all = [
				ask('first', () => first.promise),
				ask('second', () => Promise.reject(refusal)),
				ask('gone', fresh('of nobody', 0), gone),
				ask('third', fresh('value', 0)),
				ask('fourth', fresh('not asked for', 0)),
			];
			gone.emit('close');
			first.reject(refusal);
			const outcomes = (await Promise.allSettled(all)).map((one) => (one.status === 'fulfilled' ? one.value : one.reason));
			assert.deepEqual(outcomes, [refusal, refusal, 'value', 'value', 'value']);
			assert.deepEqual(loads, ['first', 'second', 'third']);
		});
	}
	test('is the answer where nobody else waits', async () => {
		const { cache } = clocked<string>();
		await assert.rejects(
			cache.get('k', () => Promise.reject(REFUSALS['its share is full']!)),
			{ code: 'UNAVAILABLE' },
		);
		assert.equal(await cache.get('k', fresh('v')), 'v');
	});
});
