import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { startProxy } from '../../support/proxy.ts';
import { ask, assertError, begin, faultAt, setUp, tokenFor } from '../../support/setup.ts';
import { until } from '../../support/until.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { BLOB, download, LAYER, NAME, path } from './sample-blob.ts';

/* Blobs are streamed both ways, and never passed off as whole when they are not. */

const upstream = await sharedUpstream();

test('a blob streams', async (t) => {
	const { proxy, registry } = await setUp(t);
	const token = await tokenFor(proxy, NAME);

	await t.test('what has come reaches the client while the rest has not', async () => {
		registry.fault = faultAt(BLOB, { hangAfterBytes: 1000 });
		const response = await begin(proxy, path(LAYER.digest), { token });
		assert.equal(response.headers['content-length'], String(LAYER.size));
		let received = 0;
		response.on('data', (chunk: Buffer) => (received += chunk.length));
		response.on('error', () => undefined);
		await until(() => received === 1000);
		assert.equal(registry.underWay, 1);
		response.destroy();
		await until(() => registry.underWay === 0);
	});

	await t.test('a client that goes away ends the upstream’s work, also before anything has come', async () => {
		registry.fault = faultAt(BLOB, 'hang');
		for (const method of ['GET', 'HEAD']) {
			const outgoing = request(proxy.url, {
				agent: false,
				method,
				path: path(LAYER.digest),
				headers: { authorization: `Bearer ${token}` },
			});
			outgoing.on('error', () => undefined);
			outgoing.end();
			await until(() => registry.underWay === 1);
			outgoing.destroy();
			await until(() => registry.underWay === 0);
		}
	});

	await t.test('an upstream that breaks off breaks the client’s download', async () => {
		registry.fault = faultAt(BLOB, { truncateAfterBytes: 5000 });
		const response = await begin(proxy, path(LAYER.digest), { token });
		let received = 0;
		response.on('data', (chunk: Buffer) => (received += chunk.length));
		await assert.rejects(once(response, 'end'));
		assert.equal(response.complete, false);
		assert.ok(received <= 5000);
		await until(() => proxy.log.some((line) => line.includes('"level":40') && line.includes('broke off')));
	});

	await t.test('also where the length is not known, and only the end of the chunks says that a body is whole', async (t) => {
		const server = createServer((_request, response) => {
			response.write('half', () => response.socket?.destroySoon());
		}).listen(0, '127.0.0.1');
		await once(server, 'listening');
		t.after(() => server.close());
		const chunked = await startProxy(t, {
			apiUrl: upstream.apiUrl,
			registryUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		});
		const response = await begin(chunked, path(LAYER.digest), { token });
		response.resume();
		await assert.rejects(once(response, 'end'));
		assert.equal(response.complete, false);
	});

	await t.test('an upstream that breaks off before the first byte is an error, without what was said of the blob', async () => {
		registry.fault = faultAt(BLOB, { truncateAfterBytes: 0 });
		const answer = await ask(proxy, path(LAYER.digest), { token, headers: { 'x-request-id': 'mine' } });
		assertError(answer, 502, 'UNAVAILABLE');
		assert.equal(answer.headers['cache-control'], 'private');
		for (const header of ['etag', 'docker-content-digest', 'accept-ranges']) {
			assert.equal(answer.headers[header], undefined, header);
		}
		assert.equal(answer.headers['x-request-id'], 'mine');
		assert.equal(answer.headers['content-length'], String(answer.text.length));
	});

	await t.test('nor without what this service says of the connection', async (t) => {
		proxy.app.shutdown.draining = true;
		t.after(() => (proxy.app.shutdown.draining = false));
		registry.fault = faultAt(BLOB, { truncateAfterBytes: 0 });
		const answer = await ask(proxy, path(LAYER.digest), { token, headers: { connection: 'keep-alive' } });
		assertError(answer, 502, 'UNAVAILABLE');
		assert.equal(answer.headers.connection, 'close');
	});

	await t.test('an upstream that stops sending is given up, and so is the download', async (t) => {
		const { proxy, registry } = await setUp(t, { REGISTRY_BODY_TIMEOUT: '0.2' });
		registry.fault = faultAt(BLOB, { hangAfterBytes: 1000 });
		const response = await begin(proxy, path(LAYER.digest), { token });
		response.resume();
		await assert.rejects(once(response, 'end'));
		assert.equal(response.complete, false);
		await until(() => registry.underWay === 0);
	});

	await t.test('after all of this it still works', async () => {
		registry.fault = () => undefined;
		assert.equal((await download({ proxy }, token, LAYER.digest)).bytes.length, LAYER.size);
	});
});
