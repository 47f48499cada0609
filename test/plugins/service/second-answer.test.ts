import Fastify from 'fastify';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { Writable } from 'node:stream';
import endOfTurn from '../../../plugins/service/end-of-turn.ts';

test('a second answer to one request is logged, and ends nobody’s answer but its own', async (t) => {
	const log: string[] = [];
	const stream = new Writable({ write: (chunk: Buffer, _encoding, done) => (log.push(chunk.toString()), done()) });
	const app = Fastify({ loggerInstance: pino({}, stream) });
	await app.register(endOfTurn);
	app.get('/twice', (_request, reply) => {
		reply.send('first');
		reply.send('second');
	});
	app.get('/once', async () => 'once');
	t.after(() => app.close());
	const url = await app.listen({ host: '127.0.0.1', port: 0 });
	const twice = fetch(`${url}/twice`).then(
		(response) => response.text(),
		() => 'broken',
	);
	const answers = await Promise.all([twice, ...[1, 2, 3].map(async () => (await fetch(`${url}/once`)).text())]);
	assert.deepEqual(answers.slice(1), ['once', 'once', 'once']);
	assert.ok(['first', 'broken'].includes(answers[0]!), answers[0]);
	assert.match(log.join(''), /an answer could not be sent/);
});
