import { join } from 'node:path';
import { load, type Request } from './load.ts';
import { startNginx } from './nginx.ts';
import { cpuSeconds, run, waitForAnswer, type Running } from './processes.ts';
import { SERVICE, spawnService, startService, type Target } from './targets.ts';
import type { Upstream } from './upstream.ts';
import { freePort } from '../test/upstream/listen.ts';

/** Several processes of the service behind one nginx. */
export interface Behind {
	processes: number;
	hasRedis: boolean;
	/** Requests a second, of all processes together. */
	rate: number[];
	/** Processor time of all processes, in microseconds a request. */
	cpu: number[];
}

const COUNTS = [1, 2, 4];

/** Measures one, two and four processes, with and without counting in Redis, in turns. */
export async function replicas(
	upstream: Upstream,
	directory: string,
	requestOf: (target: Target) => Request,
	{ rounds, seconds }: { rounds: number; seconds: number },
): Promise<Behind[]> {
	const redisPort = await freePort();
	run('redis-server', ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--dir', '/tmp'], {}, 'ignore');
	const setups: { behind: Behind; balancer: Target; pids: number[] }[] = [];
	for (const hasRedis of [false, true]) {
		const env: Record<string, string> = hasRedis ? { REDIS_URL: `redis://127.0.0.1:${redisPort}` } : {};
		for (const processes of COUNTS) {
			const started: { process: Running; port: number }[] = [];
			for (let i = 0; i < processes; i++) {
				const port = await freePort();
				const process = spawnService(upstream, port, { ...env, TRUST_PROXY: 'loopback' });
				await waitForAnswer(`http://127.0.0.1:${port}/ping`);
				started.push({ process, port });
			}
			const port = await freePort();
			const url = `http://127.0.0.1:${port}`;
			const nginx = await startNginx(join(directory, `${processes}${hasRedis ? '-redis' : ''}`), balance(port, started), `${url}/ping`);
			const { image, token } = await oneOf(upstream);
			setups.push({
				behind: { processes, hasRedis, rate: [], cpu: [] },
				balancer: { ...nginx, name: SERVICE, url, image, token },
				pids: started.map(({ process }) => process.pid),
			});
		}
	}
	for (let round = -1; round < rounds; round++) {
		for (const { behind, balancer, pids } of setups) {
			const before = sum(pids.map(cpuSeconds));
			const { rate, requests } = await load(balancer, requestOf(balancer), round < 0 ? 2 * seconds : seconds);
			if (round >= 0) {
				behind.rate.push(rate);
				behind.cpu.push(((sum(pids.map(cpuSeconds)) - before) / requests) * 1e6);
			}
		}
	}
	return setups.map(({ behind }) => behind);
}

function balance(port: number, started: { port: number }[]): string {
	return `
	upstream replicas {
		${started.map((one) => `server 127.0.0.1:${one.port};`).join('\n\t\t')}
		keepalive 64;
		keepalive_requests 10000000;
	}
	server {
		listen 127.0.0.1:${port} backlog=4096;
		location / {
			proxy_pass http://replicas;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $host;
		}
	}`;
}

/** A token is good at any replica, because it says all that they need to know. */
async function oneOf(upstream: Upstream): Promise<Pick<Target, 'image' | 'token'>> {
	const one = await startService(upstream);
	await one.stop();
	return one;
}

function sum(values: number[]): number {
	return values.reduce((all, value) => all + value, 0);
}
