import Fastify from 'fastify';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerLater } from '../../../plugins/service/answer-later.ts';
import endOfTurn from '../../../plugins/service/end-of-turn.ts';

test('what work fails with is answered as a failure, whatever it is', async (t) => {
	const app = Fastify();
	await app.register(endOfTurn);
	t.after(() => app.close());
	const rows: Record<string, unknown> = {
		error: new Error('no'),
		text: 'no',
		nothing: undefined,
		null: null,
		object: { no: true },
		bytes: Buffer.from('no'),
	};
	for (const [what, reason] of Object.entries(rows)) {
		app.get(`/${what}`, (_request, reply) => answerLater(reply, Promise.reject(reason as Error)));
	}
	for (const what of Object.keys(rows)) {
		await t.test(what, async () => assert.equal((await app.inject(`/${what}`)).statusCode, 500));
	}
});
