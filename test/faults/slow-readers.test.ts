import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, setUp, tokenFor } from '../support/setup.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { startBrokenServer } from '../support/broken-server.ts';
import { startProcess } from '../support/process.ts';
import { until } from '../support/until.ts';

/* Clients that do not read what they asked for: back-pressure reaches the registry, so that they cost next to no memory, and the others notice nothing. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const MB = 1_000_000;
const SIZE = 100 * MB;
const READERS = 50;
/** What is on the way for a reader that has stopped: buffers of the kernel are not counted, those of the process are. Measured: 1 to 2 MB a reader. */
const MAX_GROWTH = 250 * MB;

/** Resident memory of a process, in bytes: proc(5). */
function rssOf(pid: number): number {
	return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

test(
	`${READERS} readers that stop in the middle of a blob of 100 MB`,
	{ timeout: 60_000, skip: process.platform === 'linux' ? false : 'there is no /proc' },
	async (t) => {
		let sent = 0;
		const piece = Buffer.alloc(256 * 1024, 'x');
		// A registry that sends as fast as it is taken from it.
		const registry = await startBrokenServer(t, (socket) => {
			socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${SIZE}\r\n\r\n`);
			let left = SIZE;
			const write = (): void => {
				while (left > 0 && !socket.destroyed) {
					const part = piece.subarray(0, left);
					left -= part.length;
					sent += part.length;
					if (!socket.write(part)) {
						socket.once('drain', write);
						return;
					}
				}
			};
			write();
		});
		const { proxy } = await setUp(t);
		const token = await tokenFor(proxy, NAME);
		const service = await startProcess(t, { apiUrl: upstream.apiUrl, registryUrl: registry.url }, { REGISTRY_BODY_TIMEOUT: '1' });
		assert.equal((await ask(service, '/ping')).text, 'pong');
		const before = rssOf(service.child.pid!);

		const sockets: Socket[] = Array.from({ length: READERS }, (_, i) => {
			const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
			socket.on('error', () => undefined);
			socket.write(
				`GET /v2/${NAME}/blobs/sha256:${String(i).padStart(64, '0')} HTTP/1.1\r\nHost: ${service.host}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
			);
			socket.once('data', () => socket.pause());
			return socket;
		});
		t.after(() => sockets.forEach((socket) => socket.destroy()));
		// Until nothing moves any more; longer than REGISTRY_BODY_TIMEOUT, which does not end what a client holds up.
		await until(() => sockets.every((socket) => socket.bytesRead > 0));
		for (let last = -1; last !== sent; await sleep(1500)) {
			last = sent;
		}
		const growth = rssOf(service.child.pid!) - before;
		assert.ok(sent < (READERS * SIZE) / 4, `${sent / MB} MB were taken from the registry`);
		assert.ok(growth < MAX_GROWTH, `${growth / MB} MB more memory`);
		t.diagnostic(
			`${READERS} stopped readers: ${Math.round(growth / MB)} MB of memory in the process, ${Math.round(sent / MB)} MB on the way`,
		);

		await t.test('others are served all the while', async () => {
			assert.equal((await ask(service, '/ping')).text, 'pong');
			const other = await ask(service, `/v2/${NAME}/blobs/sha256:${'f'.repeat(64)}`, { token });
			assert.equal(other.text.length, SIZE);
		});
		await t.test('one that reads on gets the rest', async () => {
			const [first] = sockets;
			first!.resume();
			await until(() => first!.bytesRead > SIZE);
		});
		await t.test('those that go away let go of the registry', async () => {
			sockets.forEach((socket) => socket.destroy());
			await until(() => registry.open <= 2);
		});
	},
);
