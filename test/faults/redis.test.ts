import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { basic, type Proxy } from '../support/proxy.ts';
import { ask, assertError, seen, setUp, tokenFor } from '../support/setup.ts';
import { startRelay } from '../upstream/relay.ts';
import { freePort } from '../upstream/listen.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';
import { logged } from '../support/expect.ts';
import { startProcess } from '../support/process.ts';
import { until } from '../support/until.ts';

/* Limits that replicas share through Redis, and go on without it. */

const NAME = 'acme/pinned/1.0.0';
const TOKEN_PATH = `/auth/v1/token?scope=repository:${NAME}:pull`;

interface RedisServer {
	url: string;
	start(): Promise<void>;
	stop(): Promise<void>;
	/** Lets it neither answer nor close its connections. */
	freeze(): void;
}

async function startRedis(t: TestContext): Promise<RedisServer> {
	const directory = mkdtempSync(join(tmpdir(), 'redis-'));
	const port = await freePort();
	let child: ChildProcess | undefined;
	const redis: RedisServer = {
		url: `redis://127.0.0.1:${port}`,
		async start() {
			child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''], {
				stdio: ['ignore', 'pipe', 'inherit'],
			});
			let output = '';
			child.stdout!.on('data', (chunk: Buffer) => (output += chunk.toString()));
			await until(() => output.includes('Ready to accept connections'));
		},
		async stop() {
			if (child !== undefined && child.exitCode === null && child.signalCode === null) {
				child.kill('SIGKILL');
				await once(child, 'exit');
			}
		},
		freeze: () => void child!.kill('SIGSTOP'),
	};
	t.after(async () => {
		await redis.stop();
		rmSync(directory, { recursive: true });
	});
	await redis.start();
	return redis;
}

const isBack = (proxy: Proxy, times: number): boolean => proxy.log.filter((line) => line.includes('Redis is there')).length === times;

test('limits with Redis', { timeout: 60_000, ...needs('redis-server') }, async (t) => {
	const redis = await startRedis(t);
	const env = { REDIS_URL: redis.url, RATE_LIMIT_MAX: '4', LOGIN_FAILURES_MAX: '3' };
	const setups = [await setUp(t, env), await setUp(t, env)];
	const [one, other] = setups.map(({ proxy }) => proxy) as [Proxy, Proxy];
	await until(() => isBack(one, 1) && isBack(other, 1));

	await t.test('are one for all replicas', async () => {
		const statuses: number[] = [];
		for (const proxy of [one, other, one, other, one, other]) {
			statuses.push((await ask(proxy, TOKEN_PATH)).status);
		}
		assert.deepEqual(statuses, [200, 200, 200, 200, 429, 429]);
	});
	await t.test('those of failed logins too', async (t) => {
		// Processes, because what they know of a pair of credentials is not to be each process's own.
		const upstream = await sharedUpstream();
		const logins = { ...env, RATE_LIMIT_MAX: '0' };
		const replicas = [await startProcess(t, upstream, logins), await startProcess(t, upstream, logins)];
		await until(() => replicas.every(({ lines }) => lines.some(({ msg }) => msg.startsWith('Redis is there'))));
		const bad = { headers: { authorization: basic('bad') } };
		for (const proxy of [replicas[0]!, replicas[1]!, replicas[0]!]) {
			assertError(await ask(proxy, TOKEN_PATH, bad), 401, 'UNAUTHORIZED');
		}
		for (const proxy of replicas) {
			assertError(await ask(proxy, TOKEN_PATH, bad), 429, 'TOOMANYREQUESTS');
		}
	});
	await t.test('guesses at once, at several replicas, are no more than guesses in a row', async (t) => {
		const upstream = await sharedUpstream();
		const api = await startRelay(upstream.apiUrl);
		t.after(() => api.close());
		const logins = { ...env, RATE_LIMIT_MAX: '0', TOKEN_SECRET: 'another of thirty-two characters' };
		const behind = { apiUrl: api.url, registryUrl: upstream.registryUrl };
		const replicas = [await startProcess(t, behind, logins), await startProcess(t, behind, logins)];
		await until(() => replicas.every(({ lines }) => lines.some(({ msg }) => msg.startsWith('Redis is there'))));
		const rows: Record<string, { key: (i: number) => string; tried: number }> = {
			'at one key': { key: () => 'guess', tried: 3 },
			// Three of the thirty are used up.
			'at many, from one address': { key: (i) => `guess${i}`, tried: 24 },
		};
		for (const [name, { key, tried }] of Object.entries(rows)) {
			await t.test(name, async () => {
				api.requests = [];
				const answers = await Promise.all(
					Array.from({ length: 60 }, (_, i) => ask(replicas[i % 2]!, '/auth/v1/token', { headers: { authorization: basic(key(i)) } })),
				);
				assert.equal(seen(api, ({ url }) => url.startsWith('/auth/')).length, tried);
				assert.equal(answers.filter(({ status }) => status === 429).length, 60 - tried);
			});
		}
	});
	await t.test('Redis stops: requests are let through, and the log says so', async () => {
		await redis.stop();
		for (const proxy of [one, other]) {
			for (let i = 0; i < 10; i++) {
				await tokenFor(proxy, NAME);
			}
			assertError(await ask(proxy, TOKEN_PATH, { headers: { authorization: basic('bad') } }), 401, 'UNAUTHORIZED');
			await until(
				() => logged(proxy, ({ level, msg }) => level === 50 && /Redis is not there: requests are let through/.test(msg)) !== undefined,
			);
		}
	});
	await t.test('Redis is back: they count again', async () => {
		await redis.start();
		await until(() => isBack(one, 2) && isBack(other, 2));
		await until(async () => (await ask(one, TOKEN_PATH)).status === 429);
		assert.equal((await ask(other, TOKEN_PATH)).status, 429);
	});
	await t.test('Redis hangs: requests do not', async () => {
		redis.freeze();
		for (const proxy of [one, other]) {
			await tokenFor(proxy, NAME);
		}
	});
});

test(
	'Redis is not there at the start: the service starts, and counts from when it is',
	{ timeout: 60_000, ...needs('redis-server') },
	async (t) => {
		const redis = await startRedis(t);
		await redis.stop();
		const { proxy } = await setUp(t, { REDIS_URL: redis.url, RATE_LIMIT_MAX: '2' });
		for (let i = 0; i < 5; i++) {
			await tokenFor(proxy, NAME);
		}
		await redis.start();
		await until(async () => (await ask(proxy, TOKEN_PATH)).status === 429);
	},
);
