import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import type { Dispatcher } from 'undici';
import { overloadedError } from '../../../src/errors.ts';
import { askLater, type AskLater, type LaterOptions } from '../../../src/http/ask-later.ts';

/** What an upstream does to one request: a status with a `Retry-After`, our own bound's refusal or its queue, a connection that breaks, or nothing. */
type Act = [status: number, retryAfter?: string, end?: 'breaks'] | 'busy' | 'queued' | 'breaks' | 'hangs';

interface Asked {
	later: AskLater;
	/** How often the upstream was asked. */
	count: number;
	outcomes: string[];
	/** Why requests were aborted. */
	aborted: string[];
	send(options?: LaterOptions): void;
	tick(ms: number): void;
}

/** An upstream that does one thing after the other, before which at most two requests wait, three seconds at the most, and twelve in all. */
function start(t: TestContext, acts: Act[], places = 2): Asked {
	t.mock.timers.enable({ apis: ['setTimeout'] });
	let now = 50_000;
	t.mock.method(performance, 'now', () => now);
	const later = askLater({ longestMs: 3000, budgetMs: 12_000, places });
	const dispatch = later.interceptor((options, handler) => {
		const act = acts[asked.count++] ?? [200];
		if (act === 'busy') {
			handler.onResponseError?.(undefined as never, overloadedError('registry'));
			return true;
		}
		if (act === 'queued') {
			const signal = (options as LaterOptions).signal as AbortSignal;
			signal.addEventListener('abort', () => handler.onResponseError?.(undefined as never, signal.reason as Error));
			return true;
		}
		let hasEnded = false;
		const controller = {
			abort: (reason: Error) => {
				if (!hasEnded) {
					hasEnded = true;
					asked.aborted.push(reason.message);
					handler.onResponseError?.(controller, reason);
				}
			},
		} as Dispatcher.DispatchController;
		handler.onRequestStart?.(controller, {});
		if (act === 'breaks') {
			handler.onResponseError?.(controller, new Error('broke off'));
		} else if (act !== 'hangs') {
			const [status, retryAfter, end] = act;
			handler.onResponseStart?.(controller, status, retryAfter === undefined ? {} : { 'retry-after': retryAfter });
			handler.onResponseData?.(controller, Buffer.from(`body of ${status}`));
			hasEnded = true;
			if (end === undefined) {
				handler.onResponseEnd?.(controller, {});
			} else {
				handler.onResponseError?.(controller, new Error('broke off'));
			}
		}
		return true;
	});
	const asked: Asked = {
		later,
		count: 0,
		outcomes: [],
		aborted: [],
		send(options = {}) {
			let outcome = '';
			dispatch({ path: '/', method: 'GET', mayWait: true, ...options } as Dispatcher.DispatchOptions, {
				onResponseStart: (_controller, status, headers) => (outcome = [status, headers['retry-after']].filter(Boolean).join(' after ')),
				onResponseData: (_controller, chunk) => (outcome += `, ${chunk.toString()}`),
				onResponseEnd: () => asked.outcomes.push(outcome),
				onResponseError: (_controller, error) => asked.outcomes.push(error.message),
			});
		},
		tick(ms) {
			now += ms;
			t.mock.timers.tick(ms);
		},
	};
	return asked;
}

const BUSY = overloadedError('registry').message;

describe('askLater: what comes of one request', () => {
	/** `after`: milliseconds until there is an outcome; what happens before is nothing. */
	const rows: Record<string, { acts: Act[]; after?: number; outcome: string; count: number; options?: LaterOptions }> = {
		'an answer': { acts: [[200]], outcome: '200, body of 200', count: 1 },
		'503, and an answer': { acts: [[503, '1'], [200]], after: 1000, outcome: '200, body of 200', count: 2 },
		'429, and an answer': { acts: [[429, '2'], [404]], after: 2000, outcome: '404, body of 404', count: 2 },
		'503 without a time': { acts: [[503]], outcome: '503, body of 503', count: 1 },
		'503 with nonsense': { acts: [[503, 'soon']], outcome: '503 after soon, body of 503', count: 1 },
		'at once is a second': { acts: [[503, '0'], [200]], after: 1000, outcome: '200, body of 200', count: 2 },
		'the longest wait': { acts: [[503, '3'], [200]], after: 3000, outcome: '200, body of 200', count: 2 },
		'a longer one': { acts: [[503, '4']], outcome: '503 after 4, body of 503', count: 1 },
		'500 with a time': { acts: [[500, '1']], outcome: '500 after 1, body of 500', count: 1 },
		'a refusal that breaks off is one': { acts: [[503, '1', 'breaks'], [200]], after: 1000, outcome: '200, body of 200', count: 2 },
		'a second refusal is the answer': {
			acts: [
				[503, '1'],
				[429, '1'],
			],
			after: 1000,
			outcome: '429 after 1, body of 429',
			count: 2,
		},
		'a second one that breaks is told': { acts: [[503, '1'], 'breaks'], after: 1000, outcome: 'broke off', count: 2 },
		'one that breaks is not repeated here': { acts: ['breaks'], outcome: 'broke off', count: 1 },
		'a bound, and an answer': { acts: ['busy', [200]], after: 1000, outcome: '200, body of 200', count: 2 },
		'a bound, twice': { acts: ['busy', 'busy'], after: 1000, outcome: BUSY, count: 2 },
		'a second one that hangs: the first is the answer, in time': {
			acts: [[503, '1'], 'hangs'],
			after: 12_000,
			outcome: '503 after 1',
			count: 2,
		},
		'a bound, and one that hangs': { acts: ['busy', 'hangs'], after: 12_000, outcome: BUSY, count: 2 },
		'what is not worth it': { acts: [[503, '1']], outcome: '503 after 1, body of 503', count: 1, options: { mayWait: false } },
	};
	for (const [what, { acts, after = 0, outcome, count, options }] of Object.entries(rows)) {
		test(what, (t) => {
			const asked = start(t, acts);
			asked.send(options);
			for (let at = 0; at < after; at += 500) {
				assert.deepEqual(asked.outcomes, []);
				asked.tick(500);
			}
			assert.deepEqual([asked.outcomes, asked.count, asked.later.count], [[outcome], count, count - 1]);
			asked.tick(60_000);
			assert.deepEqual([asked.outcomes.length, asked.count], [1, count], 'and nothing after it');
		});
	}
});

describe('askLater: many requests', () => {
	test('no more wait than there are places; they are free again', (t) => {
		const asked = start(t, [[503, '1'], [503, '1'], [503, '1'], [200], [200], [503, '1'], [200]]);
		asked.send();
		asked.send();
		asked.send();
		assert.deepEqual(asked.outcomes, ['503 after 1, body of 503']);
		asked.tick(1000);
		assert.deepEqual(asked.outcomes.slice(1), ['200, body of 200', '200, body of 200']);
		asked.send();
		asked.tick(1000);
		assert.equal(asked.outcomes.at(-1), '200, body of 200');
	});
	test('one client has half of the places at the most', (t) => {
		const asked = start(
			t,
			[
				[503, '1'],
				[503, '1'],
				[503, '1'],
			],
			4,
		);
		asked.send({ client: 'greedy' });
		asked.send({ client: 'greedy' });
		asked.send({ client: 'greedy' });
		assert.deepEqual(asked.outcomes, ['503 after 1, body of 503']);
	});
	for (const second of [[503, '1'], 'hangs'] as Act[]) {
		test(`nobody waits for ten seconds after one that has waited in vain: ${String(second)}`, (t) => {
			const asked = start(t, [[503, '1'], second, [503, '1'], [503, '1'], [200]]);
			asked.send();
			asked.tick(1000);
			asked.tick(second === 'hangs' ? 11_000 : 0);
			assert.equal(asked.outcomes.length, 1);
			asked.send();
			assert.equal(asked.outcomes[1], '503 after 1, body of 503', 'at once');
			asked.tick(10_000);
			asked.send();
			assert.equal(asked.outcomes.length, 2);
			asked.tick(1000);
			assert.equal(asked.outcomes.at(-1), '200, body of 200');
		});
	}
});

describe('askLater: our own bound says nothing of the upstream', () => {
	for (const second of ['busy', 'queued'] as Act[]) {
		test(`others wait after one that has waited in vain for it: ${String(second)}`, (t) => {
			const asked = start(t, [[503, '1'], second, [503, '1'], [200]]);
			asked.send({ client: 'greedy' });
			asked.tick(1000);
			asked.tick(second === 'queued' ? 11_000 : 0);
			assert.equal(asked.outcomes.length, 1);
			asked.send({ client: 'other' });
			asked.tick(1000);
			assert.equal(asked.outcomes.at(-1), '200, body of 200');
		});
	}
});

describe('askLater: a request that nobody wants any more', () => {
	const SIGNALS: Record<string, () => { signal: AbortSignal | EventEmitter; abort: () => void }> = {
		'an AbortSignal': () => {
			const controller = new AbortController();
			return { signal: controller.signal, abort: () => controller.abort(new Error('gone')) };
		},
		'an emitter': () => {
			const signal = new EventEmitter();
			return { signal, abort: () => void signal.emit('abort', new Error('gone')) };
		},
	};
	for (const [what, make] of Object.entries(SIGNALS)) {
		test(`does not wait, and gives its place back: ${what}`, (t) => {
			const asked = start(t, [[503, '1'], [503, '1'], [200]], 1);
			const { signal, abort } = make();
			asked.send({ signal });
			abort();
			assert.deepEqual(asked.outcomes, ['gone']);
			asked.tick(20_000);
			assert.equal(asked.count, 1);
			asked.send();
			asked.tick(1000);
			assert.deepEqual(asked.outcomes, ['gone', '200, body of 200']);
		});
	}
});
