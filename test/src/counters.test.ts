import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counts } from '../../plugins/service/counts.ts';
import { Counters } from '../../src/counters.ts';

const MINUTE = 60_000;

test('who is over its limit is not forgotten, however many others come', () => {
	const counters = new Counters();
	for (let i = 0; i < 4; i++) {
		counters.take('greedy', MINUTE, 3);
	}
	for (let i = 0; i < 100_000; i++) {
		counters.take(`other ${i}`, MINUTE, 3);
	}
	assert.equal(counters.read('greedy').current, 4);
	assert.equal(counters.read('other 0').current, 0, 'others are, of whom there are too many');
});

test('a window ends for who is over as for anybody', (t) => {
	t.mock.timers.enable({ apis: ['Date'] });
	const counters = new Counters();
	counters.take('a', MINUTE, 1);
	assert.deepEqual(counters.take('a', MINUTE, 1), { current: 2, ttl: MINUTE });
	t.mock.timers.tick(MINUTE);
	assert.deepEqual(
		[counters.read('a'), counters.take('a', MINUTE, 1)],
		[
			{ current: 0, ttl: 0 },
			{ current: 1, ttl: MINUTE },
		],
	);
});

test('what is given back was not counted', () => {
	const counters = new Counters();
	counters.take('a', MINUTE, 1);
	counters.giveBack('a');
	counters.giveBack('a');
	counters.giveBack('nobody');
	assert.equal(counters.take('a', MINUTE, 1).current, 1);
});

test('an IPv6 network of 48 bits has ten times the limit of one of 64', async () => {
	const counts = new Counts(undefined);
	const take = (i: number): number => counts.takeHere(`login 2001:db8:7:${i.toString(16)}::/64`, MINUTE, 3).current;
	const first = Array.from({ length: 30 }, (_, i) => take(i));
	assert.ok(
		first.every((current) => current <= 3),
		String(first),
	);
	assert.equal(take(30), 4);
	assert.equal(counts.takeHere('login 2001:db8:8:1::/64', MINUTE, 3).current, 1, 'another network');
	assert.equal(counts.takeHere('login 192.0.2.7', MINUTE, 3).current, 1);
});

test('of a network of 48 bits counts what its clients got: neither what was given back nor what was refused to one of them', async () => {
	const counts = new Counts(undefined);
	const take = (client: number): ReturnType<Counts['take']> => counts.take(`2001:db8:7:${client.toString(16)}::/64`, MINUTE, 3);
	const rows: [what: string, run: () => Promise<void>, left: number][] = [
		['20 of 30', async () => void (await Promise.all(Array.from({ length: 20 }, (_, client) => take(client)))), 10],
		['given back', async () => counts.giveBack([...(await take(100)).keys, ...(await take(100)).keys]), 10],
		['a client that goes on beyond its limit', async () => void (await Promise.all(Array.from({ length: 100 }, () => take(101)))), 7],
		['and gives back the last', async () => counts.giveBack((await take(101)).keys), 7],
	];
	for (const [what, run, left] of rows) {
		await run();
		// As many newcomers as are left get something, and one more does not.
		const newcomers = await Promise.all(Array.from({ length: left + 1 }, (_, i) => take(200 + i)));
		assert.deepEqual(
			newcomers.map(({ current }) => current > 3),
			newcomers.map((_, i) => i === left),
			what,
		);
		await Promise.all(newcomers.map(({ keys }) => counts.giveBack(keys)));
	}
});
