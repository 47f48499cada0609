import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { text } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import type { Dispatcher } from 'undici';
import { forwardRequest, type ForwardedAnswer } from '../../../src/http/forward-request.ts';

interface Upstream {
	handler: Dispatcher.DispatchHandler;
	/** What was done to the request: "paused", "resumed", or why it was aborted. */
	controlled: string[];
	/** Begins an answer. */
	begin(status: number, headers?: Record<string, string>): void;
	data(bytes: string): void;
	end(): void;
	fail(message: string): void;
}

interface Asked {
	upstream: Upstream;
	clientGone: EventEmitter;
	counted: number[];
	answers: (Error | ForwardedAnswer)[];
}

/** An upstream that does what it is told, as undici's handler hears of it. */
function ask(method: 'GET' | 'HEAD' = 'GET'): Asked {
	const asked: Asked = { upstream: undefined as never, clientGone: new EventEmitter(), counted: [], answers: [] };
	const dispatch = (_options: unknown, handler: Dispatcher.DispatchHandler): boolean => {
		const controlled: string[] = [];
		const controller = {
			pause: () => controlled.push('paused'),
			resume: () => controlled.push('resumed'),
			abort: (error: Error) => {
				controlled.push(error.message);
				handler.onResponseError?.(controller, error);
			},
		} as unknown as Dispatcher.DispatchController;
		asked.upstream = {
			handler,
			controlled,
			begin(status, headers = {}) {
				handler.onRequestStart?.(controller, {});
				handler.onResponseStart?.(controller, status, headers, '');
			},
			data: (bytes) => handler.onResponseData?.(controller, Buffer.from(bytes)),
			end: () => handler.onResponseEnd?.(controller, {}),
			fail: (message) => handler.onResponseError?.(controller, new Error(message)),
		};
		return true;
	};
	forwardRequest(
		{ dispatch } as never,
		{ origin: 'http://upstream', path: '/', method, headers: {} },
		asked.clientGone,
		(length) => asked.counted.push(length),
		(error, answer) => asked.answers.push(error ?? answer!),
	);
	return asked;
}

/** @returns the only answer, in the words of the tables below */
function outcome({ answers }: Asked): string {
	assert.ok(answers.length <= 1, 'one answer at the most');
	const [answer] = answers;
	if (answer === undefined) {
		return 'nothing yet';
	}
	if (answer instanceof Error) {
		return `error: ${answer.message}`;
	}
	return answer.body instanceof Readable ? `${answer.statusCode} stream` : `${answer.statusCode} whole, ${answer.body.whole.length} bytes`;
}

const LARGE = { 'content-length': '100000' };
const SMALL = { 'content-length': '4' };

describe('forwardRequest: what is streamed, and what is read whole', () => {
	const rows: [string, string, (upstream: Upstream) => void, ('GET' | 'HEAD')?][] = [
		['a large success', '200 stream', (upstream) => upstream.begin(200, LARGE)],
		['a success of unknown length', '200 stream', (upstream) => upstream.begin(200)],
		['a part', '206 stream', (upstream) => upstream.begin(206, LARGE)],
		['a small success, before its end', 'nothing yet', (upstream) => (upstream.begin(200, SMALL), upstream.data('ab'))],
		[
			'a small success',
			'200 whole, 4 bytes',
			(upstream) => (upstream.begin(200, SMALL), upstream.data('ab'), upstream.data('cd'), upstream.end()),
		],
		[
			'a small success that breaks off',
			'error: reset',
			(upstream) => (upstream.begin(200, SMALL), upstream.data('ab'), upstream.fail('reset')),
		],
		['the head of a large success', '200 whole, 0 bytes', (upstream) => (upstream.begin(200, LARGE), upstream.end()), 'HEAD'],
		['a redirect', '307 whole, 3 bytes', (upstream) => (upstream.begin(307), upstream.data('abc'), upstream.end())],
		[
			'a redirect of more than 64 KB',
			'error: an answer of status 307 has more than 65536 bytes',
			(upstream) => (upstream.begin(307), upstream.data('a'.repeat(40_000)), upstream.data('a'.repeat(40_000))),
		],
		[
			'a refusal, of which the beginning is for the log',
			'404 whole, 6 bytes',
			(upstream) => (upstream.begin(404), upstream.data('<html>'), upstream.end()),
		],
		[
			'a refusal that breaks off',
			'416 whole, 2 bytes',
			(upstream) => (upstream.begin(416, LARGE), upstream.data('ab'), upstream.fail('closed')),
		],
		['a refusal of more than 64 KB', '500 whole, 0 bytes', (upstream) => (upstream.begin(500), upstream.data('a'.repeat(70_000)))],
		['no answer', 'error: refused', (upstream) => upstream.fail('refused')],
	];
	for (const [name, expected, happens, method] of rows) {
		test(`${name}: ${expected}`, () => {
			const asked = ask(method);
			happens(asked.upstream);
			assert.equal(outcome(asked), expected);
		});
	}
});

describe('forwardRequest: a stream', () => {
	function streaming(): Asked & { body: Readable } {
		const asked = ask();
		asked.upstream.begin(200, LARGE);
		return { ...asked, body: (asked.answers[0] as ForwardedAnswer).body as Readable };
	}
	test('has all bytes, which are counted', async () => {
		const { upstream, body, counted } = streaming();
		upstream.data('abc');
		upstream.data('de');
		upstream.end();
		assert.equal(await text(body), 'abcde');
		assert.deepEqual(counted, [3, 2]);
	});
	test('pauses the upstream while nobody reads', () => {
		const { upstream, body } = streaming();
		upstream.data('a'.repeat(200_000));
		assert.deepEqual(upstream.controlled, ['paused']);
		body.read();
		assert.ok(upstream.controlled.includes('resumed'));
	});
	test('ends with the error of an upstream that breaks off', async () => {
		const { upstream, body } = streaming();
		upstream.data('abc');
		upstream.fail('reset');
		await assert.rejects(text(body), /reset/);
	});
	test('that is given up gives up the upstream', () => {
		const { upstream, body } = streaming();
		body.destroy();
		assert.equal(upstream.controlled.at(-1), 'the answer is not wanted any more');
	});
	test('that has ended gives up nothing', async () => {
		const { upstream, body, clientGone } = streaming();
		upstream.end();
		await text(body);
		clientGone.emit('abort');
		body.destroy();
		assert.ok(upstream.controlled.every((what) => what === 'resumed'));
	});
});

describe('forwardRequest: a client that goes away', () => {
	test('before the request was sent', () => {
		const asked = ask();
		asked.clientGone.emit('abort');
		assert.deepEqual(asked.upstream.controlled, []);
		asked.upstream.handler.onRequestStart?.({ abort: (error: Error) => asked.upstream.controlled.push(error.message) } as never, {});
		assert.deepEqual(asked.upstream.controlled, ['the client has gone']);
	});
	test('before the answer is whole', () => {
		const asked = ask();
		asked.upstream.begin(200, SMALL);
		asked.clientGone.emit('abort');
		assert.equal(outcome(asked), 'error: the client has gone');
	});
});
