import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ACCEPT } from '../support/proxy.ts';
import { ask, begin, setUp, tokenFor } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { httpAnswer, startBrokenServer } from '../support/broken-server.ts';
import { connectTo } from '../support/raw-client.ts';
import { startProcess, type ServiceProcess } from '../support/process.ts';
import { until } from '../support/until.ts';

/* The end of the process, as an orchestrator brings it about. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const IMAGE = imageOf(upstream, 'acme/pinned', '1.0.0');
const BLOB = Buffer.alloc(3_000_000, 'x');
const PATH = `/v2/${NAME}/blobs/sha256:${createHash('sha256').update(BLOB).digest('hex')}`;
const CHALLENGE = httpAnswer('401 Unauthorized', {
	'WWW-Authenticate': `Bearer realm="${upstream.apiUrl}/auth/v1/token",service="${upstream.service}"`,
});

/** A registry whose blob comes in two halves, of which the second waits for the test. */
async function withHalves(t: TestContext): Promise<{ registryUrl: string; waiting: Socket[]; release: () => void }> {
	const waiting: Socket[] = [];
	const { url } = await startBrokenServer(t, (socket, head) => {
		if (!head.includes('/blobs/')) {
			socket.write(CHALLENGE);
			return;
		}
		socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${BLOB.length}\r\n\r\n`);
		socket.write(BLOB.subarray(0, BLOB.length / 2));
		waiting.push(socket);
	});
	return { registryUrl: url, waiting, release: () => waiting.splice(0).forEach((socket) => socket.write(BLOB.subarray(BLOB.length / 2))) };
}

/** Whether a new connection is refused. */
async function isRefused({ url }: ServiceProcess): Promise<boolean> {
	const socket = connect(Number(new URL(url).port), '127.0.0.1');
	try {
		await once(socket, 'connect');
		return false;
	} catch (error) {
		// Reset: it came just when the door was closed.
		const { code } = error as NodeJS.ErrnoException;
		assert.match(code!, /ECONNREFUSED|ECONNRESET/);
		return code === 'ECONNREFUSED';
	} finally {
		socket.destroy();
	}
}

/** @returns when a download ends: the bytes that came, and whether they are all */
async function download(service: ServiceProcess, token: string): Promise<{ bytes: number; isWhole: boolean }> {
	const incoming = await begin(service, PATH, { token });
	assert.equal(incoming.statusCode, 200);
	let bytes = 0;
	incoming.on('data', (chunk: Buffer) => (bytes += chunk.length));
	return new Promise((resolve) => {
		incoming.on('error', () => undefined).once('close', () => resolve({ bytes, isWhole: incoming.complete && bytes === BLOB.length }));
	});
}

test('SIGTERM', { timeout: 60_000 }, async (t) => {
	const { proxy } = await setUp(t);
	const token = await tokenFor(proxy, NAME);

	await t.test(
		'readiness goes off, then new connections are refused, running downloads come to their end, and the process ends with 0',
		{ timeout: 30_000 },
		async (t) => {
			const { registryUrl, waiting, release } = await withHalves(t);
			const env = { SHUTDOWN_DELAY: '1', SHUTDOWN_TIMEOUT: '60' };
			const [service, other] = await Promise.all([
				startProcess(t, { apiUrl: upstream.apiUrl, registryUrl }, env),
				startProcess(t, { apiUrl: upstream.apiUrl, registryUrl }, env),
			]);
			const downloads = [download(service, token), download(service, token)];
			await until(() => waiting.length === 2);
			// Neither a connection that is kept alive nor one that never asks holds up the end.
			const idle = [connect(Number(new URL(service.url).port), '127.0.0.1'), connect(Number(new URL(service.url).port), '127.0.0.1')];
			idle[0]!.write(`GET /ping HTTP/1.1\r\nHost: x\r\n\r\n`);
			await once(idle[0]!, 'data');
			assert.equal((await ask(service, '/ready')).status, 200);

			service.child.kill('SIGTERM');
			let ready = await ask(service, '/ready');
			while (ready.status === 200) {
				ready = await ask(service, '/ready');
			}
			assert.deepEqual([ready.status, JSON.parse(ready.text).ready, JSON.parse(ready.text).draining], [503, false, true]);
			assert.equal((await ask(service, '/ping')).text, 'pong', 'it still serves, so that balancers have time to look');
			while (!(await isRefused(service)));
			assert.equal(service.child.exitCode, null);
			release();
			assert.deepEqual(await Promise.all(downloads), Array(2).fill({ bytes: BLOB.length, isWhole: true }));
			assert.deepEqual(await service.ended, [0, null]);
			assert.ok(service.lines.some(({ msg, signal }) => /running downloads may finish/.test(msg) && signal === 'SIGTERM'));

			await t.test('another instance is not concerned', async () => {
				assert.equal((await ask(other, '/ready')).status, 200);
				const second = download(other, token);
				await until(() => waiting.length === 1);
				release();
				assert.equal((await second).isWhole, true);
			});
			idle.forEach((socket) => socket.destroy());
		},
	);

	await t.test('a connection that is kept alive ends with the download on it', { timeout: 60_000 }, async (t) => {
		const { registryUrl, waiting, release } = await withHalves(t);
		const service = await startProcess(t, { apiUrl: upstream.apiUrl, registryUrl }, { SHUTDOWN_TIMEOUT: '600' });
		// node:http would close it, or not, by its own idea.
		const socket = connectTo(service);
		t.after(() => socket.destroy());
		let bytes = 0;
		socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
		socket.write(`GET ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
		await until(() => waiting.length === 1);
		service.child.kill('SIGTERM');
		await until(() => isRefused(service));
		release();
		await once(socket, 'end');
		assert.ok(bytes > BLOB.length);
		assert.deepEqual(await service.ended, [0, null]);
		assert.ok(!service.lines.some(({ msg }) => /cut off/.test(msg)));
	});

	await t.test('what begins while the service drains says that its connection ends, and is answered', { timeout: 60_000 }, async (t) => {
		const service = await startProcess(t, upstream, { SHUTDOWN_DELAY: '600' });
		const agent = new Agent({ keepAlive: true });
		t.after(() => agent.destroy());
		const get = async (path: string): Promise<[status: number, connection: string | undefined]> => {
			const [answer] = (await once(request(service.url + path, { agent }).end(), 'response')) as [IncomingMessage];
			await text(answer);
			return [answer.statusCode!, answer.headers.connection];
		};
		assert.deepEqual(await get('/serving'), [200, 'keep-alive']);
		service.child.kill('SIGTERM');
		await until(async () => (await get('/serving'))[0] === 503);
		assert.deepEqual(await get('/serving'), [503, 'close']);
		assert.deepEqual(await get('/v2/'), [401, 'close']);
		assert.deepEqual(await get('/nothing'), [404, 'close']);
	});

	await t.test('downloads that do not end are cut off after SHUTDOWN_TIMEOUT', { timeout: 30_000 }, async (t) => {
		const { registryUrl, waiting } = await withHalves(t);
		const service = await startProcess(t, { apiUrl: upstream.apiUrl, registryUrl }, { SHUTDOWN_TIMEOUT: '0.5' });
		const started = download(service, token);
		await until(() => waiting.length === 1);
		service.child.kill('SIGTERM');
		assert.deepEqual(await service.ended, [0, null]);
		assert.equal((await started).isWhole, false);
		assert.ok(service.lines.some(({ level, msg }) => level === 40 && /cut off/.test(msg)));
	});

	await t.test('with nothing to do it ends at once', { timeout: 30_000 }, async (t) => {
		const service = await startProcess(t, upstream, { SHUTDOWN_TIMEOUT: '600' });
		assert.equal((await ask(service, '/ping')).text, 'pong');
		service.child.kill('SIGTERM');
		assert.deepEqual(await service.ended, [0, null]);
	});

	await t.test('a second one does not wait', { timeout: 30_000 }, async (t) => {
		const { registryUrl, waiting } = await withHalves(t);
		const service = await startProcess(t, { apiUrl: upstream.apiUrl, registryUrl }, { SHUTDOWN_TIMEOUT: '600' });
		const started = download(service, token);
		await until(() => waiting.length === 1);
		service.child.kill('SIGTERM');
		await until(() => service.lines.some(({ msg }) => /running downloads may finish/.test(msg)));
		service.child.kill('SIGTERM');
		assert.deepEqual(await service.ended, [1, null]);
		assert.equal((await started).isWhole, false);
	});
});

test('SIGKILL in the middle of a pull: another instance, or the same one started anew, goes on with it', { timeout: 60_000 }, async (t) => {
	const first = await startProcess(t, upstream);
	const token = await tokenFor(first, NAME);
	const manifest = await ask(first, `/v2/${NAME}/manifests/latest`, { token, headers: { accept: ACCEPT } });
	assert.equal(manifest.status, 200);
	first.child.kill('SIGKILL');
	assert.deepEqual(await first.ended, [null, 'SIGKILL']);
	const second = await startProcess(t, upstream);
	assert.equal((await ask(second, '/v2/', { token })).status, 200);
	assert.equal((await ask(second, `/v2/${NAME}/manifests/${IMAGE.digest}`, { token, headers: { accept: ACCEPT } })).text, manifest.text);
	for (const { digest, size } of IMAGE.platforms[0]!.layers) {
		const blob = await begin(second, `/v2/${NAME}/blobs/${digest}`, { token });
		const hash = createHash('sha256');
		let bytes = 0;
		for await (const chunk of blob) {
			hash.update(chunk as Buffer);
			bytes += (chunk as Buffer).length;
		}
		assert.deepEqual([blob.statusCode, bytes, `sha256:${hash.digest('hex')}`], [200, size, digest]);
	}
});
