import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { connectTo } from '../support/raw-client.ts';
import { startProcess } from '../support/process.ts';
import { ask, tokenFor } from '../support/setup.ts';
import { until } from '../support/until.ts';
import { freePort } from '../upstream/listen.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Connections by the thousand on which nothing, or half a request, is said: each times out, and nothing of it is left. */

const upstream = await sharedUpstream();
const ROUNDS = 6;
const AT_ONCE = 5000;
/** A connection takes 3 KB, so that this heap would not hold them all. */
const HEAP_MB = 100;

test(
	`${ROUNDS * AT_ONCE} silent connections, ${AT_ONCE} at once, time out and leave nothing, in a heap of ${HEAP_MB} MB`,
	{ timeout: 240_000, skip: process.platform === 'linux' ? false : 'there is no /proc' },
	async (t) => {
		const port = await freePort();
		const service = await startProcess(t, upstream, {
			CLIENT_TIMEOUT: '1',
			METRICS_PORT: String(port),
			NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}`,
		});
		const files = async (): Promise<number> =>
			Number(/^process_open_fds (\d+)$/m.exec(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text())?.[1]);
		await tokenFor(service, 'acme/pinned');
		const before = await files();
		for (let round = 0; round < ROUNDS; round++) {
			const closed: Promise<unknown>[] = [];
			while (closed.length < AT_ONCE) {
				// Some at a time, because a listening socket's queue is not endless.
				const some: Socket[] = Array.from({ length: 250 }, () => connectTo(service).on('error', () => undefined));
				closed.push(...some.map((socket) => once(socket, 'close')));
				await Promise.all(some.map((socket) => once(socket, 'connect')));
				some.forEach((socket, i) => {
					socket.resume();
					if (i % 2 === 0) {
						socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\nX: ');
					}
				});
			}
			assert.equal((await ask(service, '/ping')).text, 'pong');
			await Promise.all(closed);
		}
		await until(async () => (await files()) <= before + 10);
		await tokenFor(service, 'acme/pinned');
	},
);
