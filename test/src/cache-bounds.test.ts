import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, test } from 'node:test';
import { LoadingCache, type Loaded } from '../../src/cache.ts';
import { CONSTANTS } from '../../src/constants.ts';
import { overloadedError, RegistryError, upstreamError } from '../../src/errors.ts';
import { table } from '../support/table.ts';

/* What one who asks cannot do to the others: hold them up, evict what they need, or leave work behind. */

type Answer = PromiseWithResolvers<Loaded<string>> & { signal?: AbortSignal };

/** A cache whose clock stands still until a test moves it, and whose loads are answered when it says so. */
function clocked(max = 10): {
	cache: LoadingCache<string>;
	at: (ms: number) => void;
	loads: Answer[];
	get(key: string, connection?: EventEmitter): Promise<string>;
	put(key: string, staleMs?: number): Promise<unknown>;
} {
	let now = 0;
	const cache = new LoadingCache<string>({ max, now: () => now });
	const loads: Answer[] = [];
	return {
		cache,
		at: (ms) => (now = ms),
		loads,
		get: (key, connection) =>
			cache.get(
				key,
				({ signal }) => {
					const answer: Answer = { ...Promise.withResolvers<Loaded<string>>(), signal };
					loads.push(answer);
					return answer.promise;
				},
				connection,
			),
		put: (key, staleMs = 1000) => cache.get(key, async () => ({ value: key, freshMs: 100, staleMs })),
	};
}

describe('a load without an answer', () => {
	test('is joined for two seconds, then the next one who asks starts another, three at the most', () => {
		const { at, loads, get } = clocked();
		const started = [0, 1999, 2000, 2001, 4000, 4001, 6000, 60_000].map((ms) => {
			at(ms);
			get('k').catch(() => undefined);
			return loads.length;
		});
		assert.deepEqual(started, [1, 1, 2, 2, 3, 3, 3, 3]);
	});
	test('is overtaken: the first answer is for all, and ends the others', async () => {
		const { at, loads, get } = clocked();
		const first = get('k');
		at(2000);
		const second = get('k');
		loads[1]!.resolve({ value: 'v', freshMs: 100 });
		assert.deepEqual([await first, await second, loads[0]!.signal!.aborted], ['v', 'v', true]);
	});
	test('that fails leaves it to the others, until the last one fails', async () => {
		const { at, loads, get } = clocked();
		const asked = [get('k')];
		at(2000);
		asked.push(get('k'));
		loads[0]!.reject(new Error('the first'));
		await new Promise(setImmediate);
		loads[1]!.reject(new Error('the last'));
		assert.deepEqual(
			(await Promise.allSettled(asked)).map((one) => (one as PromiseRejectedResult).reason.message),
			['the last', 'the last'],
		);
	});
	test('that is refused is refused for all', async () => {
		const { at, loads, get } = clocked();
		const first = get('k');
		at(2000);
		const second = get('k');
		loads[1]!.reject(new RegistryError('UNAUTHORIZED', 'no'));
		await assert.rejects(first, /no/);
		await assert.rejects(second, /no/);
		assert.ok(loads[0]!.signal!.aborted);
	});
});

describe('a load ends', () => {
	test('when the last one who waits has gone, and the next who asks starts another', async () => {
		const { loads, get } = clocked();
		const [a, b] = [new EventEmitter(), new EventEmitter()];
		const asked = [get('k', a), get('k', b)];
		a.emit('close');
		assert.ok(!loads[0]!.signal!.aborted);
		b.emit('close');
		assert.ok(loads[0]!.signal!.aborted);
		assert.deepEqual(
			(await Promise.allSettled(asked)).map((one) => (one as PromiseRejectedResult).reason.name),
			['AbortError', 'AbortError'],
		);
		const next = get('k');
		loads[1]!.resolve({ value: 'v', freshMs: 0 });
		assert.equal(await next, 'v');
	});
	test('for none who has nowhere to go', async () => {
		const { loads, get } = clocked();
		const gone = new EventEmitter();
		get('k', gone).catch(() => undefined);
		const stays = get('k');
		gone.emit('close');
		loads[0]!.resolve({ value: 'v', freshMs: 0 });
		assert.equal(await stays, 'v');
	});
});

test('a load is told of what was there before only where that may stand in: what was not found is as new as ever', async () => {
	const told: boolean[] = [];
	for (const staleMs of [0, 1000]) {
		const { cache, at } = clocked();
		for (const ms of [0, 200, 5000]) {
			at(ms);
			await cache.get('k', async ({ isKnown }) => (told.push(isKnown), { value: 'v', freshMs: 100, staleMs }));
		}
	}
	assert.deepEqual(told, [false, false, false, false, true, true]);
});

describe('an old value stands in for', () => {
	table<unknown>(
		[
			[new Error('reset'), 'old'],
			[upstreamError('API', new Error('reset')), 'old'],
			[overloadedError('api'), 'old'],
			[new RegistryError('TOOMANYREQUESTS', 'later'), 'old'],
			[new RegistryError('UNAUTHORIZED', 'no'), '401'],
			[new RegistryError('DENIED', 'no'), '403'],
			[new RegistryError('NAME_UNKNOWN', 'no'), '404'],
		],
		async (error) => {
			const { cache, at } = clocked();
			await cache.get('k', async () => ({ value: 'old', freshMs: 100, staleMs: 1000 }));
			at(200);
			const load = async (): Promise<never> => {
				throw error;
			};
			return cache.get('k', load).catch((thrown: RegistryError) => String(thrown.statusCode));
		},
	);
	test('none that comes after a refusal', async () => {
		const { cache, at, put } = clocked();
		await put('k');
		at(200);
		await assert.rejects(
			cache.get('k', () => Promise.reject(new RegistryError('UNAUTHORIZED', 'no'))),
			/no/,
		);
		await assert.rejects(
			cache.get('k', () => Promise.reject(new Error('down'))),
			/down/,
		);
	});
});

describe('what others ask for evicts', () => {
	// Ten entries: eight that were asked for again, two that were not yet.
	const JUNK = Array.from({ length: 1000 }, (_, i) => `junk ${i}`);
	test('nothing that was asked for twice, whether it is found or not', async () => {
		for (const staleMs of [0, 1000]) {
			const { cache, put } = clocked();
			await put('used');
			await put('used');
			for (const key of JUNK) {
				await put(key, staleMs);
			}
			assert.equal(cache.peek('used'), 'used');
			assert.ok(cache.size <= 20, `${cache.size}`);
		}
	});
	test('nothing of those at the default size, where 10,200 others come', async () => {
		const { cache, put } = clocked(CONSTANTS.RESOLUTION_CACHE_SIZE);
		await put('used');
		await put('used');
		await put('new');
		for (let i = 0; i < 10_200; i++) {
			await put(`nonsense ${i}`, 0);
		}
		assert.deepEqual([cache.peek('used'), cache.peek('new')], ['used', 'new']);
	});
	test('nothing that may stand in, where it may not itself', async () => {
		const { cache, put } = clocked();
		await put('new');
		for (const key of JUNK) {
			await put(key, 0);
		}
		assert.equal(cache.peek('new'), 'new');
	});
	test('by bytes likewise', async () => {
		const cache = new LoadingCache<string>({ max: 1e6, maxBytes: 1000, sizeOf: (value) => value.length });
		const put = (key: string, length: number): Promise<string> =>
			cache.get(key, async () => ({ value: 'x'.repeat(length), freshMs: 1e6, staleMs: 1e6 }));
		await put('used', 100);
		await put('used', 100);
		for (const key of JUNK) {
			await put(key, 150);
		}
		await put('too large for all', 5000);
		assert.ok(cache.peek('used') !== undefined && cache.peek('too large for all') === undefined);
		assert.ok(cache.size < 10, `${cache.size}`);
	});
});
