import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { ACCEPT, startProxy } from '../support/proxy.ts';
import { connectTo } from '../support/raw-client.ts';
import { ask, CACHE_MODES, faultAt, setUp, tokenFor } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { until } from '../support/until.ts';
import { collectWarnings } from '../support/warnings.ts';

/* Connections of clients that are kept: for how long, and what many requests on one leave behind. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const IMAGE = imageOf(upstream, 'acme/pinned', '1.0.0');

test('an idle connection closes after KEEP_ALIVE_TIMEOUT, and not before', { timeout: 60_000 }, async (t) => {
	const [short, long, usual] = await Promise.all([
		startProxy(t, upstream, { KEEP_ALIVE_TIMEOUT: '1' }),
		startProxy(t, upstream, { KEEP_ALIVE_TIMEOUT: '3' }),
		startProxy(t, upstream),
	]);
	const closed: string[] = [];
	const sockets = await Promise.all(
		Object.entries({ short, long, usual }).map(async ([name, proxy]) => {
			const socket = connectTo(proxy);
			t.after(() => socket.destroy());
			socket.once('end', () => closed.push(name));
			socket.write('GET /ping HTTP/1.1\r\nHost: x\r\n\r\n');
			const [answer] = (await once(socket, 'data')) as [Buffer];
			return { socket, hint: /^keep-alive: *(.*)$/im.exec(answer.toString())?.[1]?.trim() };
		}),
	);
	assert.deepEqual(
		sockets.map(({ hint }) => hint),
		['timeout=1', 'timeout=3', 'timeout=72'],
	);
	await until(() => closed.length === 2);
	assert.deepEqual(closed, ['short', 'long']);
	sockets[2]!.socket.write('GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
	assert.match(String(await once(sockets[2]!.socket, 'data')), /pong/);
});

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	test(
		`many requests on one connection leave no listener behind, nor anything else that Node warns of; ${mode}`,
		{ timeout: 60_000 },
		async (t) => {
			const warnings = collectWarnings(t);
			const { proxy, registry } = await setUp(t, { ...env, RATE_LIMIT_MAX: '0', REGISTRY_CONNECTIONS: '2' });
			const token = await tokenFor(proxy, NAME);
			const absent = IMAGE.digest.replace(/.{8}$/, '00000000');
			const agent = new Agent({ keepAlive: true, maxSockets: 1 });
			t.after(() => agent.destroy());
			const get = async (path: string, method = 'GET'): Promise<number> => {
				const [answer] = (await once(
					request(proxy.url + path, { agent, method, headers: { authorization: `Bearer ${token}`, accept: ACCEPT } }).end(),
					'response',
				)) as [IncomingMessage];
				await text(answer);
				return answer.statusCode!;
			};
			const paths: [path: string, method: string, status: number][] = [
				['/v2/', 'GET', 200],
				[`/v2/${NAME}/manifests/latest`, 'GET', 200],
				[`/v2/${NAME}/manifests/latest`, 'HEAD', 200],
				[`/v2/${NAME}/manifests/${IMAGE.digest}`, 'GET', 200],
				[`/v2/${NAME}/blobs/${IMAGE.platforms[0]!.layers[0]!.digest}`, 'GET', 200],
				[`/v2/${NAME}/blobs/${absent}`, 'GET', 404],
				[`/v2/${NAME}/tags/list`, 'GET', 200],
				['/acme/pinned', 'GET', 200],
			];
			for (let i = 0; i < 15; i++) {
				for (const [path, method, status] of paths) {
					assert.equal(await get(path, method), status, path);
				}
			}
			// Each name of a token is waited for with the same connection.
			const names = ['2', '3', '4', '5'].flatMap((n) => [`acme/none-${n}`, `acme/pinned/${n}.0.0`]);
			for (let i = 0; i < 3; i++) {
				const query = names.map((name) => `scope=repository:${name}${i}:pull`).join('&');
				assert.equal((await ask(proxy, `/auth/v1/token?${query}`)).status, 200);
			}
			await t.test('all that one sends at once', async () => {
				const socket = connectTo(proxy);
				t.after(() => socket.destroy());
				let got = '';
				socket.setEncoding('latin1').on('data', (piece: string) => (got += piece));
				const one = `GET /v2/${NAME}/manifests/latest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nAccept: ${ACCEPT}\r\n\r\n`;
				socket.write(one.repeat(30));
				await until(() => got.split('HTTP/1.1 200 OK').length === 31);
			});
			await t.test('and all that many ask for at once, and do not wait for', async () => {
				registry.fault = faultAt(/blobs|manifests/, 'hang');
				const gone = new AbortController();
				const asked = [IMAGE.digest, 'latest'].flatMap((reference) =>
					Array.from({ length: 30 }, () =>
						ask(proxy, `/v2/${NAME}/manifests/${reference}`, {
							token: `${token.split('~')[0]}x~${token.split('~')[1]}`,
							signal: gone.signal,
						}),
					),
				);
				const settled = Promise.allSettled(asked);
				await until(() => proxy.app.requests.inFlight === 60);
				gone.abort();
				await settled;
				await until(() => proxy.app.requests.inFlight === 0 && registry.underWay === 0);
			});
			assert.deepEqual(warnings, []);
		},
	);
}
