import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { Dispatcher } from 'undici';
import { boundedDispatch } from '../../../src/http/bounded-dispatch.ts';
import { RegistryError } from '../../../src/errors.ts';

type Ending = 'ends' | 'fails';

interface Upstream {
	/** What is under way, in the order in which it was sent. */
	sent: string[];
	/** What has come of each request that is over. */
	outcomes: Record<string, string>;
	send(path: string, signal?: AbortSignal, client?: string): boolean;
	/** Lets the upstream begin its answer, of which nothing has come yet. */
	begin(path: string): void;
	/** Lets a piece of the answer come. */
	move(path: string, bytes: number): void;
	/** Lets the upstream answer a request, or break off. */
	finish(path: string, how?: Ending): void;
}

/** Two requests at once, two more that wait, a second at the most; before an upstream that answers when it is told to. */
function bounded(t: TestContext, { concurrency = 2, waitMs = 1000 } = {}): Upstream {
	t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
	const handlers = new Map<string, Dispatcher.DispatchHandler>();
	const upstream: Upstream = {
		sent: [],
		outcomes: {},
		send: (path, signal, client) =>
			dispatch({ path, method: 'GET', signal, client } as Dispatcher.DispatchOptions, {
				onResponseEnd: () => (upstream.outcomes[path] = 'ended'),
				onResponseError: (_controller, error) =>
					(upstream.outcomes[path] = error instanceof RegistryError ? `${error.statusCode} ${error.code}` : error.message),
			}),
		begin(path) {
			const controller = {
				abort(reason: Error) {
					upstream.sent = upstream.sent.filter((other) => other !== path);
					handlers.get(path)!.onResponseError?.({} as never, reason);
				},
			} as Dispatcher.DispatchController;
			handlers.get(path)!.onRequestStart?.(controller, {});
			handlers.get(path)!.onResponseStart?.(controller, 200, {}, 'OK');
		},
		move: (path, bytes) => handlers.get(path)!.onResponseData?.({} as never, Buffer.alloc(bytes)),
		finish(path, how = 'ends') {
			upstream.sent = upstream.sent.filter((other) => other !== path);
			const handler = handlers.get(path)!;
			if (how === 'ends') {
				handler.onResponseEnd?.({} as never, {});
			} else {
				handler.onResponseError?.({} as never, new Error('broke off'));
			}
		},
	};
	const dispatch = boundedDispatch({ concurrency, queue: 2, waitMs })((options, handler) => {
		handlers.set(options.path, handler);
		upstream.sent.push(options.path);
		return true;
	});
	return upstream;
}

const OVERLOADED = '503 UNAVAILABLE';

describe('boundedDispatch: two at once, two that wait for a second at the most', () => {
	test('sends what there is room for', (t) => {
		const upstream = bounded(t);
		assert.ok(['a', 'b', 'c', 'd'].every((path) => upstream.send(path)));
		assert.deepEqual([upstream.sent, upstream.outcomes], [['a', 'b'], {}]);
	});
	test('refuses what is too much, at once', (t) => {
		const upstream = bounded(t);
		['a', 'b', 'c', 'd', 'e'].forEach((path) => upstream.send(path));
		assert.deepEqual([upstream.sent, upstream.outcomes], [['a', 'b'], { e: OVERLOADED }]);
	});
	for (const how of ['ends', 'fails'] as const) {
		test(`sends the next one, first come first served, when one ${how}`, (t) => {
			const upstream = bounded(t);
			['a', 'b', 'c', 'd'].forEach((path) => upstream.send(path));
			upstream.finish('b', how);
			assert.deepEqual(upstream.sent, ['a', 'c']);
			upstream.finish('a', how);
			assert.deepEqual(upstream.sent, ['c', 'd']);
			const outcome = how === 'ends' ? 'ended' : 'broke off';
			assert.deepEqual(upstream.outcomes, { a: outcome, b: outcome });
		});
	}
	test('a request that breaks off twice makes room once', (t) => {
		const upstream = bounded(t);
		['a', 'b', 'c', 'd'].forEach((path) => upstream.send(path));
		upstream.finish('a');
		upstream.finish('a', 'fails');
		assert.deepEqual(upstream.sent, ['b', 'c']);
	});
	test('gives up after the wait, and then sends nothing for it', (t) => {
		const upstream = bounded(t);
		['a', 'b', 'c'].forEach((path) => upstream.send(path));
		t.mock.timers.tick(999);
		assert.deepEqual(upstream.outcomes, {});
		t.mock.timers.tick(1);
		assert.deepEqual(upstream.outcomes, { c: OVERLOADED });
		upstream.finish('a');
		assert.deepEqual(upstream.sent, ['b']);
	});
	test('the wait is over once a request is sent', (t) => {
		const upstream = bounded(t);
		['a', 'b', 'c'].forEach((path) => upstream.send(path));
		upstream.finish('a');
		t.mock.timers.tick(10_000);
		assert.deepEqual([upstream.sent, upstream.outcomes], [['b', 'c'], { a: 'ended' }]);
	});
	test('has room again for others that wait, when one gives up', (t) => {
		const upstream = bounded(t);
		['a', 'b', 'c', 'd'].forEach((path) => upstream.send(path));
		t.mock.timers.tick(1000);
		upstream.send('e');
		upstream.finish('a');
		assert.deepEqual(upstream.sent, ['b', 'e']);
		assert.equal(upstream.outcomes['e'], undefined);
	});
	test('what nobody wants any more does not wait any more', (t) => {
		const upstream = bounded(t);
		const controller = new AbortController();
		upstream.send('a');
		upstream.send('b');
		upstream.send('c', controller.signal);
		upstream.send('d');
		controller.abort(new Error('the client has gone'));
		assert.deepEqual(upstream.outcomes, { c: 'the client has gone' });
		upstream.finish('a');
		assert.deepEqual(upstream.sent, ['b', 'd']);
	});
	test('a signal that comes after the request was sent is the business of the upstream', (t) => {
		const upstream = bounded(t);
		const controller = new AbortController();
		upstream.send('a');
		upstream.send('b');
		upstream.send('c', controller.signal);
		upstream.finish('a');
		controller.abort(new Error('the client has gone'));
		assert.deepEqual([upstream.sent, upstream.outcomes], [['b', 'c'], { a: 'ended' }]);
	});
	test('all else of a request passes through', (t) => {
		t.mock.timers.enable({ apis: ['setTimeout'] });
		const seen: string[] = [];
		const dispatch = boundedDispatch({ concurrency: 1, queue: 1, waitMs: 1000 })((_options, handler) => {
			handler.onRequestStart?.({} as never, {});
			handler.onResponseStart?.({} as never, 200, {}, 'OK');
			handler.onResponseData?.({} as never, Buffer.from('1'));
			handler.onResponseEnd?.({} as never, {});
			handler.onRequestUpgrade?.({} as never, 101, {}, {} as never);
			return true;
		});
		dispatch(
			{ path: '/', method: 'GET' },
			{
				onRequestStart: () => seen.push('start'),
				onRequestUpgrade: () => seen.push('upgrade'),
				onResponseStart: (_controller, status) => seen.push(String(status)),
				onResponseData: (_controller, chunk) => seen.push(chunk.toString()),
				onResponseEnd: () => seen.push('end'),
			},
		);
		assert.deepEqual(seen, ['start', '200', '1', 'end', 'upgrade']);
	});
});

describe('boundedDispatch: a download that somebody waits for', () => {
	const TWO = { connections: 2, others: ['second'], newcomer: 'third' };
	// Its own, because there are connections for others: a client waits that has its share.
	const SHARE = { connections: 4, others: ['greedy'], newcomer: 'greedy' };
	/** `a` moves so many bytes in each half second, and `others` enough; a newcomer comes at a time. `endsAt`: when `a` gives way, in seconds. */
	const rows: Record<
		string,
		{ of?: string; moves: number; hasBegun?: false; comesAt: number; endsAt: number | undefined; place: typeof TWO }
	> = {
		'moves nothing, and gives way at once after 20 s': { moves: 0, comesAt: 20.5, endsAt: 20.5, place: TWO },
		'moves nothing, and has 20 s in any case': { moves: 0, comesAt: 3, endsAt: 21, place: TWO },
		'moves nothing, while nobody waits': { moves: 0, comesAt: Infinity, endsAt: undefined, place: TWO },
		'moves 1 KB a second, which is too little': { moves: 500, comesAt: 30.5, endsAt: 30.5, place: TWO },
		'moves 4 KB a second, which is enough': { moves: 2048, comesAt: 30.5, endsAt: undefined, place: TWO },
		'has not begun, for which there is another time-out': { moves: 0, hasBegun: false, comesAt: 30.5, endsAt: undefined, place: TWO },
		'is of the client that has its share': { of: 'greedy', moves: 0, comesAt: 30.5, endsAt: 30.5, place: SHARE },
		'is of another client than the one that has its share': { moves: 0, comesAt: 30.5, endsAt: undefined, place: SHARE },
	};
	for (const [name, { of = 'first', moves, hasBegun = true, comesAt, endsAt, place }] of Object.entries(rows)) {
		test(name, (t) => {
			let now = 0;
			t.mock.method(performance, 'now', () => now);
			const upstream = bounded(t, { concurrency: place.connections, waitMs: 600_000 });
			upstream.send('a', undefined, of);
			const others = [...place.others, ...(of === 'first' && place === SHARE ? ['greedy'] : [])];
			others.forEach((client, i) => upstream.send(`other ${i}`, undefined, client));
			others.forEach((_client, i) => upstream.begin(`other ${i}`));
			if (hasBegun) {
				upstream.begin('a');
			}
			let endedAt: number | undefined;
			for (let second = 0.5; second <= 60; second += 0.5) {
				now = second * 1000;
				t.mock.timers.tick(500);
				if (second === comesAt) {
					upstream.send('newcomer', undefined, place.newcomer);
					assert.ok(!upstream.sent.includes('newcomer') || endsAt === comesAt, 'it waits');
				}
				if (upstream.outcomes['a'] !== undefined) {
					endedAt ??= second;
				} else if (moves > 0) {
					upstream.move('a', moves);
				}
				others.forEach((_client, i) => upstream.move(`other ${i}`, 10_000));
			}
			assert.equal(endedAt, endsAt);
			assert.equal(upstream.sent.includes('newcomer'), endsAt !== undefined);
			assert.deepEqual(Object.keys(upstream.outcomes), endsAt === undefined ? [] : ['a']);
			assert.match(upstream.outcomes['a'] ?? 'gave way', /gave way/);
		});
	}
});
