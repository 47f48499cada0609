import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cpuSeconds } from './processes.ts';
import type { Target } from './targets.ts';

export const CONNECTIONS = 32;

/** What one burst of load on one target gave. */
export interface Burst {
	/** Requests a second. */
	rate: number;
	/** The proxy's own processor time, in microseconds a request. */
	cpu: number;
	/** Milliseconds; undefined where it was not measured. */
	p99: number | undefined;
	requests: number;
}

export interface Request {
	method: 'GET' | 'HEAD';
	path: string;
	headers: Record<string, string>;
	/**
	 * What differs from request to request, in turn, where no two at a time may be the same: else the service would make one
	 * request to the upstream of them all.
	 */
	inTurn?: { path: string; authorization?: string }[];
	/** The only status that counts as an answer. */
	status: number;
}

/**
 * Sends one request again and again over 32 connections, or as many as are asked for.
 *
 * @throws Error for answers with another status than the expected
 */
export async function load(target: Target, request: Request, seconds: number, connections = CONNECTIONS): Promise<Burst> {
	await expectStatus(target, request);
	const before = cpuSeconds(target.pid);
	const { requests, elapsed, p99 } = await (request.method === 'HEAD' ? loadHead : loadGet)(target.url, request, seconds, connections);
	return { rate: requests / elapsed, cpu: ((cpuSeconds(target.pid) - before) / requests) * 1e6, p99, requests };
}

async function expectStatus({ name, url }: Target, { method, path, headers, status }: Request): Promise<void> {
	const response = await fetch(url + path, { method, headers, redirect: 'manual' });
	await response.arrayBuffer();
	if (response.status !== status) {
		throw new Error(`${name} answers ${method} ${path} with ${response.status}, not ${status}`);
	}
}

interface Counted {
	requests: number;
	elapsed: number;
	p99: number | undefined;
}

async function loadGet(
	url: string,
	{ path, headers, inTurn = [], status }: Request,
	seconds: number,
	connections: number,
): Promise<Counted> {
	const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
	const directory = mkdtempSync(join(tmpdir(), 'bench-load-'));
	const file = join(directory, 'requests');
	writeFileSync(file, inTurn.map((one) => `${one.path} ${one.authorization ?? ''}\n`).join(''));
	const script = inTurn.length === 0 ? [] : ['-s', join(import.meta.dirname, 'in-turn.lua')];
	const { stdout } = await promisify(execFile)('wrk', [
		'-t1',
		`-c${connections}`,
		`-d${seconds}s`,
		'--timeout=10s',
		'--latency',
		...fields,
		...script,
		url + path,
		...(inTurn.length === 0 ? [] : [file]),
	]);
	rmSync(directory, { recursive: true });
	const failed = /Non-2xx or 3xx responses: (\d+)|Socket errors: (.+)/.exec(stdout);
	if (failed !== null) {
		throw new Error(`${url}${path}, expecting ${status}: ${failed[0]}`);
	}
	const [, p99, unit] = /^ +99% +([\d.]+)(us|ms|s)$/m.exec(stdout) ?? [];
	const [, requests, elapsed, minutes] = /(\d+) requests in ([\d.]+)(?:s|(m))/.exec(stdout) ?? [];
	return {
		requests: Number(requests),
		elapsed: Number(elapsed) * (minutes === undefined ? 1 : 60),
		p99: Number(p99) * { us: 0.001, ms: 1, s: 1000 }[unit as 'us' | 'ms' | 's'],
	};
}

/** wrk waits for the body that an answer to HEAD announces but does not have. So the load for HEAD is made here. */
async function loadHead(
	url: string,
	{ path, headers, inTurn = [{ path }] }: Request,
	seconds: number,
	connections: number,
): Promise<Counted> {
	const { hostname, port, host } = new URL(url);
	const requests = inTurn.map((one) =>
		Buffer.from(
			[`HEAD ${one.path} HTTP/1.1`, `Host: ${host}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`), '', ''].join(
				'\r\n',
			),
			'latin1',
		),
	);
	let at = 0;
	const next = (): Buffer => requests[at++ % requests.length]!;
	const start = performance.now();
	const end = start + seconds * 1000;
	const counts = await Promise.all(Array.from({ length: connections }, () => loadHeadOnce(hostname, Number(port), next, end)));
	return { requests: counts.reduce((sum, count) => sum + count, 0), elapsed: (performance.now() - start) / 1000, p99: undefined };
}

/**
 * One connection, one request at a time. An answer is complete with its empty line, which nginx and Node send in one piece with
 * what is before it.
 */
async function loadHeadOnce(host: string, port: number, next: () => Buffer, end: number): Promise<number> {
	const socket = connect({ host, port, noDelay: true });
	await once(socket, 'connect');
	let answers = 0;
	socket.on('data', (piece) => {
		if (piece.length >= 4 && (piece as Buffer).readUInt32BE(piece.length - 4) === 0x0d0a0d0a) {
			answers++;
			if (performance.now() < end) {
				socket.write(next());
			} else {
				socket.destroy();
			}
		}
	});
	socket.write(next());
	await once(socket, 'close');
	return answers;
}
