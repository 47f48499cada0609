import { rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { CONNECTIONS, load, type Request } from './load.ts';
import { needPrograms, readableDirectory, residentMb, stopAll } from './processes.ts';
import { replicas } from './replicas.ts';
import { picture } from './scale-picture.ts';
import { scaleReport, type Series } from './scale-report.ts';
import { startService, tokenPath, type Target } from './targets.ts';
import { startUpstream, type Upstream } from './upstream.ts';
import { formatToken } from '../src/token/client-token.ts';

/*
 * `npm run bench:scale [-- --quick]`: how the cost of a request grows with names, tokens, connections and processes, and what a
 * whole pull costs one core. Writes docs/reports/scale.md and its picture.
 */

const quick = process.argv.includes('--quick');
const ROUNDS = quick ? 2 : 5;
const SECONDS = quick ? 1 : 2;
/** Sizes along each axis; the largest take minutes to warm up. */
const STEPS = quick ? 3 : 4;
/** What a warm-up asks for each name or token: the first request brings it in, the second lets it stay. */
const WARM_UP_PASSES = 2;
const ACCEPT = 'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json';
/** Of the image that a pull takes: its config and ten layers. */
const BLOBS_OF_A_PULL = 11;

interface Step {
	size: number;
	request: Request;
	connections?: number;
	/** How many different things are asked for. */
	different: number;
}

interface Axis {
	what: string;
	steps: (target: Target) => Step[];
}

needPrograms(['wrk', 'nginx', 'redis-server']);
const directory = readableDirectory();
try {
	const upstream = await startUpstream(join(directory, 'upstream'));
	const series: Series[] = [];
	for (const axis of axes(upstream)) {
		series.push(await measureAxis(upstream, axis));
	}
	const behind = await replicas(upstream, join(directory, 'replicas'), manifestOf, { rounds: ROUNDS, seconds: SECONDS });
	const text = scaleReport(series, behind, await pullCost(upstream), {
		cores: cpus().length,
		rounds: ROUNDS,
		seconds: SECONDS,
		node: process.version,
	});
	console.log(text);
	if (!quick) {
		writeFileSync('docs/reports/scale.md', text);
		writeFileSync('docs/reports/scale.svg', picture(series));
	}
} finally {
	await stopAll();
	rmSync(directory, { recursive: true, force: true });
}

function manifestOf(target: Target): Request {
	return {
		method: 'GET',
		path: `/v2/${target.image}/manifests/latest`,
		headers: { authorization: `Bearer ${target.token}`, accept: ACCEPT },
		status: 200,
	};
}

function axes({ content }: Upstream): Axis[] {
	const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
	return [
		{
			what: 'names, an anonymous token for each',
			steps: () =>
				[1, 100, 10_000, 100_000].map((size) => ({
					size,
					different: size,
					request: {
						method: 'GET',
						path: tokenPath(content.name),
						headers: {},
						status: 200,
						inTurn: times(size, (i) => ({ path: tokenPath(`acme/web${i}/1.2.3`) })),
					},
				})),
		},
		{
			what: 'tokens of clients, a manifest from memory with each',
			steps: (target) =>
				[1, 100, 5000, 50_000].map((size) => ({
					size,
					different: size,
					request: {
						...manifestOf(target),
						inTurn: times(size, (i) => ({ path: manifestOf(target).path, authorization: `Bearer ${tokenOf(content, i)}` })),
					},
				})),
		},
		{
			what: 'connections, a manifest from memory',
			steps: (target) => [32, 256, 1000, 10_000].map((size) => ({ size, different: 1, connections: size, request: manifestOf(target) })),
		},
	];
}

/** A token that differs from others, as those of different clients do: in its part of the API's, too. */
function tokenOf({ token, name, repository }: Upstream['content'], i: number): string {
	const [head, claims = '', signature] = token.split('.');
	const own = { ...(JSON.parse(Buffer.from(claims, 'base64url').toString()) as object), jti: `client ${i}` };
	const upstream = [head, Buffer.from(JSON.stringify(own)).toString('base64url'), signature].join('.');
	return formatToken({ upstream, grants: new Map([[name, { kind: 'image', repository, version: '1.2.3' }]]), sealed: undefined });
}

/** A process for each size, so that none inherits another's memory; rounds in turns. */
async function measureAxis(upstream: Upstream, { what, steps }: Axis): Promise<Series> {
	const series: Series = { what, steps: [] };
	const targets: { target: Target; step: Step; cpu: number[]; rate: number[]; rss: number[] }[] = [];
	for (let i = 0; i < STEPS; i++) {
		const target = await startService(upstream);
		const step = steps(target)[i]!;
		console.error(`warming up ${what}: ${step.size}`);
		let asked = 0;
		do {
			asked += (await load(target, step.request, 2 * SECONDS, step.connections)).requests;
		} while (asked < WARM_UP_PASSES * step.different);
		targets.push({ target, step, cpu: [], rate: [], rss: [] });
	}
	for (let round = 0; round < ROUNDS; round++) {
		for (const { target, step, cpu, rate, rss } of targets) {
			const burst = await load(target, step.request, SECONDS, step.connections ?? CONNECTIONS);
			cpu.push(burst.cpu);
			rate.push(burst.rate);
			rss.push(residentMb(target.pid, 'VmRSS'));
		}
	}
	for (const { target, step, cpu, rate, rss } of targets) {
		series.steps.push({ size: step.size, cpu, rate, rss });
		await target.stop();
	}
	return series;
}

/** @returns processor time of one whole pull from memory, in microseconds, by what it consists of: each request measured by itself */
async function pullCost(upstream: Upstream): Promise<{ what: string; requests: number; cpu: number[] }[]> {
	const target = await startService(upstream);
	const { headers } = manifestOf(target);
	const parts: { what: string; requests: number; request: Request }[] = [
		{ what: 'ping', requests: 1, request: { method: 'GET', path: '/v2/', headers, status: 200 } },
		{ what: 'anonymous token', requests: 1, request: { method: 'GET', path: tokenPath(target.image), headers: {}, status: 200 } },
		{ what: 'HEAD of the manifest', requests: 1, request: { ...manifestOf(target), method: 'HEAD' } },
		{ what: 'the manifest', requests: 1, request: manifestOf(target) },
		{
			what: 'blobs, by redirects',
			requests: BLOBS_OF_A_PULL,
			request: { method: 'GET', path: `/v2/${target.image}/blobs/${upstream.content.redirectedBlob}`, headers, status: 307 },
		},
	];
	const measured = parts.map(({ what, requests }) => ({ what, requests, cpu: [] as number[] }));
	for (let round = -1; round < ROUNDS; round++) {
		for (const [i, { request }] of parts.entries()) {
			const { cpu } = await load(target, request, SECONDS);
			if (round >= 0) {
				measured[i]!.cpu.push(cpu);
			}
		}
	}
	await target.stop();
	return measured;
}
