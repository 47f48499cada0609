import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { residentMb, run, stopAll, waitForAnswer } from '../../bench/processes.ts';
import { processOptions } from '../support/constants.ts';
import { startUpstream } from '../upstream/index.ts';
import { freePort } from '../upstream/listen.ts';
import { availableRegistry } from '../upstream/shared.ts';
import { CLIENTS, keepRunning } from './soak-clients.ts';
import { closeAll, type Ground } from './soak-requests.ts';

/*
 * `npm run soak [-- minutes]`: the service as a process, under a mixed load for ten minutes or as long as is said. Prints the curve of its memory, and fails where memory grows once it
 * has warmed up, where an answer or a broken connection is a surprise, and where anything is left when the clients have gone.
 */

const SERVER = fileURLToPath(new URL('../../src/server.ts', import.meta.url));
const SAMPLE_MS = 5000;
/** Of the whole time, until caches are full and V8 has made room. */
const WARM_UP = 0.3;
/** By how much the median of the last third of the rest may be above that of its first third, in MB. */
const MAX_GROWTH_MB = 32;
/** Small enough to be full long before the end; what fills them would be growth otherwise. */
const LIMITS = { CLIENT_TIMEOUT: '5', RESOLUTION_CACHE_SIZE: '1000', TOKEN_CACHE_SIZE: '100', MANIFEST_CACHE_BYTES: '1000000' };
const LARGE_MB = 30;
/** How long the service may take to let go of what clients have left. */
const DRAIN_MS = 15_000;
/** Connections to upstreams that are kept for the next request. */
const KEPT_FILES = 60;

interface Sample {
	seconds: number;
	/** Megabytes. */
	rss: number;
	/** JavaScript's objects, with what is garbage already. */
	heap: number;
	/** What V8 has reserved for them, and buffers. */
	reserved: number;
	files: number;
	inFlight: number;
	requests: number;
	/** Answers that say that this program has a defect, also to clients that have gone. */
	defects: number;
}

const minutes = Number(process.argv[2] ?? 10);
if (!(minutes > 0 && minutes <= 24 * 60)) {
	throw new Error(`"${process.argv[2]}" is no number of minutes`);
}

const upstream = await startUpstream({ registry: availableRegistry(), large: LARGE_MB });
const [port, metricsPort] = [await freePort(), await freePort()];
const limits = processOptions(LIMITS);
const service = run(
	process.execPath,
	[...limits.args, SERVER],
	{
		API_URL: upstream.apiUrl,
		REGISTRY_URL: upstream.registryUrl,
		PROXY_HOST: '127.0.0.1',
		PROXY_PORT: String(port),
		METRICS_PORT: String(metricsPort),
		TRUST_PROXY: 'loopback',
		LOG_LEVEL: 'error',
		...limits.env,
	},
	['ignore', 'inherit', 'inherit'],
);
const end = new AbortController();
const ground: Ground = { url: `http://127.0.0.1:${port}`, upstream, signal: end.signal, statuses: new Map(), surprises: [], bytes: 0 };
await waitForAnswer(`${ground.url}/ping`);

const kinds = Object.entries(CLIENTS);
console.log(
	`${minutes} minutes, ${upstream.registry} registry, Node ${process.version}; at once: ${kinds.map(([kind, { count }]) => `${count} ${kind}`).join(', ')}\n`,
);
console.log('  time   RSS MB  heap MB  reserved  files  requests   2xx/3xx      4xx      5xx  surprises');
const startedAt = performance.now();
const before = await sample();
const clients = kinds.flatMap(([kind, { count }]) => Array.from({ length: count }, () => keepRunning(ground, kind)));
const samples: Sample[] = [];
while (performance.now() - startedAt < minutes * 60_000) {
	await sleep(SAMPLE_MS);
	samples.push(await sample());
	print(samples.at(-1)!);
}
end.abort();
await Promise.all(clients);
await closeAll();
const after = await whenDrained();

console.log(
	`\nby status: ${[...ground.statuses]
		.sort(([a], [b]) => a - b)
		.map(([status, count]) => `${status}: ${count}`)
		.join(', ')}; ${Math.round(ground.bytes / 1e6)} MB of blobs`,
);
console.log(
	`with the clients gone: ${after.inFlight} requests, ${after.files} files (${before.files} at the start), RSS ${after.rss.toFixed(0)} MB`,
);
const failures = [...judgeMemory(), ...judgeAnswers(), ...judgeLeftovers()];
console.log(failures.length === 0 ? 'all as it should be' : failures.join('\n'));
await stopAll();
await upstream.close();
process.exitCode = failures.length === 0 ? 0 : 1;

async function sample(): Promise<Sample> {
	const exposition = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
	const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(exposition)?.[1]);
	return {
		seconds: Math.round((performance.now() - startedAt) / 1000),
		rss: residentMb(service.pid, 'VmRSS'),
		heap: value('nodejs_heap_size_used_bytes') / 2 ** 20,
		reserved: (value('nodejs_heap_size_total_bytes') + value('nodejs_external_memory_bytes')) / 2 ** 20,
		files: value('process_open_fds'),
		inFlight: value('registry_proxy_in_flight_requests'),
		requests: [...ground.statuses.values()].reduce((sum, count) => sum + count, 0),
		defects: [...exposition.matchAll(/^registry_proxy_requests_total\{.*status="500".*\} (\S+)$/gm)].reduce(
			(sum, [, count]) => sum + Number(count),
			0,
		),
	};
}

/** One line of the curve. */
function print({ seconds, rss, heap, reserved, files, requests }: Sample): void {
	const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
	const ofClass = (...classes: number[]): number =>
		[...ground.statuses].reduce((sum, [status, count]) => sum + (classes.includes(Math.floor(status / 100)) ? count : 0), 0);
	const columns: [number | string, number][] = [
		[time, 6],
		[rss.toFixed(0), 9],
		[heap.toFixed(0), 9],
		[reserved.toFixed(0), 10],
		[files, 7],
		[requests, 10],
		[ofClass(2, 3), 10],
		[ofClass(4), 9],
		[ofClass(5), 9],
		[ground.surprises.length, 11],
	];
	console.log(`${columns.map(([value, width]) => String(value).padStart(width)).join('')}  ${'#'.repeat(Math.round(rss / 8))}`);
}

/** @returns a sample once the service has let go of what the clients left, or when it has had time enough for that */
async function whenDrained(): Promise<Sample> {
	const limit = performance.now() + DRAIN_MS;
	for (;;) {
		const now = await sample();
		if (performance.now() > limit || hasDrained(now)) {
			return now;
		}
		await sleep(500);
	}
}

function hasDrained({ inFlight, files }: Sample): boolean {
	return inFlight === 0 && files <= before.files + KEPT_FILES;
}

function judgeMemory(): string[] {
	const warm = samples.filter(({ seconds }) => seconds > minutes * 60 * WARM_UP);
	const third = Math.ceil(warm.length / 3);
	const [first, last] = [median(warm.slice(0, third)), median(warm.slice(-third))];
	console.log(
		`RSS after the warm-up: ${first.toFixed(0)} MB in the first third, ${last.toFixed(0)} MB in the last; ${MAX_GROWTH_MB} MB more are allowed`,
	);
	return last - first <= MAX_GROWTH_MB ? [] : [`FAILED: memory has grown by ${(last - first).toFixed(0)} MB`];
}

function judgeAnswers(): string[] {
	return [
		...(ground.surprises.length === 0
			? []
			: [`FAILED: ${ground.surprises.length} answers that nobody provoked, such as`, ...new Set(ground.surprises.slice(0, 20))]),
		...(after.defects === 0 ? [] : [`FAILED: ${after.defects} answers of 500, which the log explains`]),
	];
}

function judgeLeftovers(): string[] {
	return hasDrained(after) ? [] : [`FAILED: ${after.inFlight} requests and ${after.files} files are left, though all clients are gone`];
}

function median(some: Sample[]): number {
	const sorted = some.map(({ rss }) => rss).sort((a, b) => a - b);
	return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
