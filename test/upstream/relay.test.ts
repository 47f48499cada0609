import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { startRelay, type Fault, type Relay } from './relay.ts';
import { connectTo } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

const BODY = 'x'.repeat(100_000);

const target = createServer((req, res) => {
	const chunks: Buffer[] = [];
	req.on('data', (chunk: Buffer) => chunks.push(chunk));
	req.on('end', () =>
		res
			.writeHead(203, {
				'x-asked': `${req.method} ${req.url} ${req.headers.host} ${Buffer.concat(chunks).toString()}`,
				'set-cookie': ['a=1', 'b=2'],
			})
			.end(BODY),
	);
});
let targetHost: string;
let relay: Relay;
before(async () => {
	await once(target.listen(0, '127.0.0.1'), 'listening');
	targetHost = `127.0.0.1:${(target.address() as AddressInfo).port}`;
	relay = await startRelay(`http://${targetHost}`);
});
after(async () => {
	await relay.close();
	target.close();
});

async function ask(fault: Fault): Promise<Response> {
	relay.fault = () => fault;
	return await fetch(`${relay.url}/path?a=%2F`, { method: 'POST', body: 'sent', signal: AbortSignal.timeout(10_000) });
}

test('everything is passed on, and recorded', async () => {
	relay.requests = [];
	const response = await ask(undefined);
	assert.deepEqual(
		[response.status, response.headers.get('x-asked'), response.headers.getSetCookie(), await response.text()],
		[203, `POST /path?a=%2F ${targetHost} sent`, ['a=1', 'b=2'], BODY],
	);
	assert.deepEqual(
		relay.requests.map(({ method, url, body }) => ({ method, url, body })),
		[{ method: 'POST', url: '/path?a=%2F', body: 'sent' }],
	);
});

test('an answer in the target’s place', async () => {
	const response = await ask({ status: 503, headers: { 'retry-after': '3' }, body: 'busy' });
	assert.deepEqual([response.status, response.headers.get('retry-after'), await response.text()], [503, '3', 'busy']);
});

test('a delay, then the answer', async () => assert.equal((await ask({ delayMs: 1 })).status, 203));

test('something else, and then the answer', async () => {
	const gate = Promise.withResolvers<void>();
	const asked = ask({ after: gate.promise });
	await until(() => relay.underWay === 1);
	gate.resolve();
	assert.equal((await asked).status, 203);
});

test('a reset connection', async () => {
	await assert.rejects(ask('reset'), (error: Error) => (error.cause as NodeJS.ErrnoException).code === 'ECONNRESET');
});

test('no answer, until the client goes away', async () => {
	relay.fault = () => 'hang';
	relay.requests = [];
	const client = new AbortController();
	const asked = fetch(relay.url, { signal: client.signal });
	const outcome = assert.rejects(asked, { name: 'AbortError' });
	await until(() => relay.requests.length === 1);
	assert.equal(relay.underWay, 1);
	client.abort();
	await outcome;
	await until(() => relay.underWay === 0);
});

test('a body that ends early', async () => {
	relay.fault = () => ({ truncateAfterBytes: 1000 });
	// Read as bytes: fetch and node:http may drop what has come when the end comes with it.
	const socket = connectTo(relay).setEncoding('latin1');
	let text = '';
	socket.on('data', (chunk: string) => (text += chunk)).write('GET /path HTTP/1.1\r\nHost: x\r\n\r\n');
	await once(socket, 'close');
	assert.match(text, /\r\n\r\n3e8\r\nx{1000}\r\n$/);
});

test('a body that stops coming', async () => {
	const response = await ask({ hangAfterBytes: 1000 });
	const reader = response.body!.getReader();
	let length = 0;
	while (length < 1000) {
		length += (await reader.read()).value?.length ?? 0;
	}
	const next = await Promise.race([reader.read(), new Promise((resolve) => setTimeout(resolve, 50, 'nothing'))]);
	assert.deepEqual([length, next], [1000, 'nothing']);
	await reader.cancel();
});
