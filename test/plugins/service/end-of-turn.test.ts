import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildApp } from '../../../src/app.ts';
import { configOf } from '../../support/constants.ts';

test('answers that are ready in one turn of the event loop are written at its end, one after the other', async (t) => {
	const app = await buildApp(configOf({ API_URL: 'http://127.0.0.1:9', REGISTRY_URL: 'http://127.0.0.1:9' }), { logger: false });
	t.after(() => app.close());
	const events: string[] = [];
	app.addHook('preHandler', (request, _reply, done) => {
		events.push(`${request.id} asked`);
		// Whatever else this turn has to do comes first, however often it puts something off.
		const putOff = (times: number): void => (times === 0 ? void events.push(`${request.id} turn`) : process.nextTick(putOff, times - 1));
		putOff(100);
		done();
	});
	// After the plugin's own: what it holds back is not here yet.
	app.addHook('onSend', (request, _reply, payload, done) => {
		events.push(`${request.id} written`);
		done(null, payload);
	});
	await Promise.all(['a', 'b', 'c'].map((id) => app.inject({ url: '/ping', headers: { 'x-request-id': id } })));
	const written = events.findIndex((event) => event.endsWith('written'));
	assert.deepEqual(events.slice(written), ['a written', 'b written', 'c written']);
	assert.deepEqual(events.slice(0, written).sort(), ['a asked', 'a turn', 'b asked', 'b turn', 'c asked', 'c turn']);
});
