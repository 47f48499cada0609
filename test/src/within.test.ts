import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { within } from '../../src/within.ts';

const late = (): Error => new Error('late');

describe('within', () => {
	test('gives what the work gives', async () => assert.equal(await within(60_000, Promise.resolve(1), late), 1));
	test('fails as the work fails', async () => assert.rejects(within(60_000, Promise.reject(new Error('broken')), late), /broken/));
	test('fails where the work does not end', async () => assert.rejects(within(1, new Promise(() => undefined), late), /late/));
	test('what becomes of the work then does not matter', async () => {
		const { promise, reject } = Promise.withResolvers();
		await assert.rejects(within(1, promise, late), /late/);
		reject(new Error('broken'));
	});
});
