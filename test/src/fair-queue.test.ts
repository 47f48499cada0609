import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FairQueue } from '../../src/fair-queue.ts';
import { table } from '../support/table.ts';

interface Tried {
	queue: FairQueue;
	/** Who got a turn, and who was refused, in order. */
	turns: string[];
	refused: string[];
	enter(client: string, options?: { isKnown?: boolean; name?: string }): (() => void) | undefined;
}

function tried(capacity: number, length = 100): Tried {
	const queue = new FairQueue({ capacity, queue: length, refusal: () => new Error('full') });
	const turns: string[] = [];
	const refused: string[] = [];
	return {
		queue,
		turns,
		refused,
		enter: (client, { isKnown = false, name = client } = {}) =>
			queue.enter({ client, isKnown, units: 1, onTurn: () => turns.push(name), onRefused: () => refused.push(name) }),
	};
}

describe('FairQueue: how much clients hold that want all there is', () => {
	table<[capacity: number, clients: string[]]>(
		[
			[[1, ['a']], [1]],
			[[2, ['a']], [1]],
			[[4, ['a']], [2]],
			[[32, ['a']], [16]],
			[[256, ['a']], [128]],
			// Each finds less than the one before it, and there is always something left.
			[
				[32, ['a', 'b']],
				[16, 8],
			],
			[
				[32, ['a', 'b', 'c', 'd']],
				[16, 8, 4, 2],
			],
			// The service's own business has no share to keep to.
			[[32, ['']], [32]],
			[
				[32, ['a', '']],
				[16, 16],
			],
		],
		async ([capacity, clients]) => {
			const { queue } = tried(capacity);
			return clients.map((client) => {
				while (queue.take(client, 1));
				return queue.heldBy(client);
			});
		},
	);
});

describe('FairQueue: turns', () => {
	test('go round by client, however many each has waiting', () => {
		const { queue, turns, enter } = tried(1);
		['a', 'a', 'a', 'a', 'b', 'b', 'c'].forEach((client) => enter(client));
		for (let last = turns[0]!; turns.length < 7; last = turns.at(-1)!) {
			queue.release(last, 1);
		}
		assert.deepEqual(turns, ['a', 'a', 'b', 'c', 'a', 'b', 'a']);
	});
	test('are first those of what is known, then of the rest', () => {
		const { queue, turns, enter } = tried(1);
		enter('a');
		enter('b', { name: 'miss' });
		enter('c', { name: 'login', isKnown: true });
		queue.release('a', 1);
		queue.release('c', 1);
		assert.deepEqual(turns, ['a', 'login', 'miss']);
	});
	test('are of clients that have a share left, before those that have none', () => {
		const { queue, turns, enter } = tried(4);
		['a', 'a', 'a', 'b'].forEach((client, i) => enter(client, { name: `${client}${i}` }));
		assert.deepEqual(turns, ['a0', 'a1', 'b3']);
		queue.release('b', 1);
		assert.deepEqual(turns, ['a0', 'a1', 'b3'], 'what is left is for others');
		queue.release('a', 1);
		assert.deepEqual(turns.at(-1), 'a2');
	});
	test('are nobody’s who has left', () => {
		const { queue, turns, enter } = tried(1);
		enter('a');
		enter('b')!();
		enter('c');
		queue.release('a', 1);
		assert.deepEqual([turns, queue.length], [['a', 'c'], 0]);
	});
});

describe('FairQueue: where too many wait', () => {
	test('a newcomer takes the place of the newest of the client that has the most', () => {
		const { refused, enter } = tried(1, 3);
		['a', 'a', 'a', 'a'].forEach((client, i) => enter(client, { name: `a${i}` }));
		enter('b');
		assert.deepEqual(refused, ['a3']);
	});
	test('a client that has as many as the others is refused itself', () => {
		const { refused, enter } = tried(1, 2);
		['a', 'b', 'c', 'd'].forEach((client) => enter(client));
		assert.deepEqual(refused, ['d']);
	});
	test('what is known takes the place of what is not, and never the other way round', () => {
		const { refused, enter } = tried(1, 1);
		enter('a');
		enter('b', { name: 'miss' });
		enter('b', { name: 'login', isKnown: true });
		enter('c', { name: 'another miss' });
		assert.deepEqual(refused, ['miss', 'another miss']);
	});
});

test('FairQueue: run gives back its unit, whatever comes of the work, and a signal ends the wait', async () => {
	const { queue } = tried(1);
	const { signal } = new AbortController();
	const place = { client: 'a', isKnown: false };
	assert.equal(await queue.run(place, signal, async () => 'done'), 'done');
	await assert.rejects(
		queue.run(place, signal, async () => {
			throw new Error('failed');
		}),
		/failed/,
	);
	assert.equal(queue.free, 1);
	queue.take('a', 1);
	const gone = new AbortController();
	const waiting = queue.run(place, gone.signal, async () => assert.fail('nobody wants it'));
	gone.abort(new Error('gone'));
	await assert.rejects(waiting, /gone/);
	await assert.rejects(
		queue.run(place, gone.signal, async () => assert.fail('nobody wants it')),
		/gone/,
	);
	queue.release('a', 1);
	assert.deepEqual([queue.free, queue.length], [1, 0]);
});
