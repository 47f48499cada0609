import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Agent } from 'undici';
import { smallRequest, type SmallRequest } from '../../../src/http/small-request.ts';
import { table } from '../../support/table.ts';

/** What the server answers next. */
let answer: RequestListener;
let origin: string;

const server = createServer((request, response) => answer(request, response));
// One connection, so that a second request has to wait for it.
const agent = new Agent({ connections: 1, pipelining: 1 });

before(async () => {
	await once(server.listen(0, '127.0.0.1'), 'listening');
	origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

after(async () => {
	await agent.destroy();
	server.closeAllConnections();
	server.close();
});

const ask = (change: Partial<SmallRequest> = {}) => smallRequest(agent, { origin, path: '/', headers: {}, maxBytes: 5, ...change });

describe('smallRequest: an answer of five bytes at the most', () => {
	table<[listener: RequestListener, change?: Partial<SmallRequest>]>(
		[
			[[(_request, response) => response.end('12345')], { status: 200, body: '12345', isCut: false }],
			[[(_request, response) => response.end()], { status: 200, body: '', isCut: false }],
			[[(_request, response) => response.writeHead(404).end('no')], { status: 404, body: 'no', isCut: false }],
			[[(_request, response) => response.writeHead(307, { location: '/x' }).end()], { status: 307, body: '', isCut: false }],
			[[(_request, response) => response.write('123', () => response.end('45'))], { status: 200, body: '12345', isCut: false }],
			// Longer, by its own word or without one.
			[[(_request, response) => response.end('123456')], { status: 200, body: '', isCut: true }],
			[[(_request, response) => response.write('123', () => response.end('456'))], { status: 200, body: '', isCut: true }],
			[[(_request, response) => response.writeHead(500).end('x'.repeat(1_000_000))], { status: 500, body: '', isCut: true }],
			// HEAD tells of a length and has none.
			[
				[(_request, response) => response.writeHead(200, { 'content-length': '1000' }).end(), { method: 'HEAD' }],
				{ status: 200, body: '', isCut: false },
			],
			[
				[(request, response) => response.end(`${request.method} ${request.url}`.slice(0, 5)), { path: '/a' }],
				{ status: 200, body: 'GET /', isCut: false },
			],
			// Broken off.
			[[(_request, response) => response.destroy()], 'failed'],
			[[(_request, response) => void response.writeHead(200, { 'content-length': '5' }).write('12', () => response.destroy())], 'failed'],
			[[(_request, response) => response.end(), { headers: { 'x-evil': 'a\r\nb' } }], 'failed'],
		],
		async ([listener, change]) => {
			answer = listener;
			try {
				const { status, body, isCut } = await ask(change);
				return { status, body: body.toString(), isCut };
			} catch {
				return 'failed';
			}
		},
	);
});

describe('smallRequest: what nobody wants any more', () => {
	const gone = new Error('the client has gone');

	test('is not sent', async () => {
		answer = () => assert.fail('sent');
		await assert.rejects(ask({ signal: AbortSignal.abort(gone) }), gone);
	});
	test('is ended while it waits for an answer', async () => {
		const controller = new AbortController();
		answer = () => controller.abort(gone);
		await assert.rejects(ask({ signal: controller.signal }), gone);
	});
	test('is ended amid an answer', async () => {
		const controller = new AbortController();
		answer = (_request, response) => response.write('1', () => controller.abort(gone));
		await assert.rejects(ask({ signal: controller.signal }), gone);
	});
	test('is not sent after it has waited for a connection', async () => {
		const controller = new AbortController();
		const sent: string[] = [];
		answer = (request, response) => {
			sent.push(request.url!);
			if (request.url === '/first') {
				controller.abort(gone);
			}
			response.end();
		};
		const first = ask({ path: '/first' });
		const second = ask({ path: '/second', signal: controller.signal });
		await Promise.all([first, assert.rejects(second, gone)]);
		assert.deepEqual(sent, ['/first']);
	});
	test('leaves nothing behind on a signal that lives on', async () => {
		const { signal } = new AbortController();
		let listeners = 0;
		const counted = Object.create(signal, {
			aborted: { get: () => false },
			addEventListener: { value: () => listeners++ },
			removeEventListener: { value: () => listeners-- },
		}) as AbortSignal;
		answer = (_request, response) => response.end('123456');
		await ask({ signal: counted });
		answer = (_request, response) => response.end('1');
		await ask({ signal: counted });
		assert.equal(listeners, 0);
	});
});
