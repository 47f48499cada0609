import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { load } from './load.ts';
import { needPrograms, readableDirectory, residentMb, stopAll } from './processes.ts';
import { figure, median } from './statistics.ts';
import { stream } from './streams.ts';
import { startService, type Target } from './targets.ts';
import { MIDDLE_BLOB_BYTES, startUpstream, type Upstream } from './upstream.ts';
import { freePort } from '../test/upstream/listen.ts';

/* `npm run bench:memory`: where the memory of a process is, by what it does and by how it is started. Writes docs/reports/memory.md. */

const ROUNDS = 3;
const LOAD_SECONDS = 10;
const DOWNLOADS = 8;
/** Until balena-sdk is there, and what the start needed is given back. */
const SETTLE_MS = 6000;
const SAMPLE_MS = 100;
const MB = 2 ** 20;

/** In MB (2^20). */
interface Memory {
	resident: number;
	young: number;
	old: number;
	external: number;
}

const WAYS: Record<string, Record<string, string>> = {
	'as it is': {},
	'`--max-semi-space-size=4`': { NODE_OPTIONS: '--max-semi-space-size=4' },
	'`MALLOC_ARENA_MAX=1`': { MALLOC_ARENA_MAX: '1' },
};

needPrograms(['wrk', 'nginx', 'curl']);
const directory = readableDirectory();
try {
	const upstream = await startUpstream(join(directory, 'upstream'));
	const measured = new Map<string, Memory[]>();
	for (let round = 0; round < ROUNDS; round++) {
		for (const [way, env] of Object.entries(WAYS)) {
			for (const [state, memory] of await measure(upstream, env)) {
				const row = `${state} | ${way}`;
				measured.set(row, [...(measured.get(row) ?? []), memory]);
			}
		}
	}
	const text = report(measured);
	console.log(text);
	writeFileSync('docs/reports/memory.md', text);
} finally {
	await stopAll();
	rmSync(directory, { recursive: true, force: true });
}

async function measure(upstream: Upstream, env: Record<string, string>): Promise<[state: string, memory: Memory][]> {
	const port = await freePort();
	const target = await startService(upstream, { ...env, METRICS_PORT: String(port) });
	const metrics = `http://127.0.0.1:${port}/metrics`;
	await wait(SETTLE_MS);
	const idle = await read(target, metrics);
	const streaming = await most(target, metrics, stream(target, upstream.content.middleBlob, MIDDLE_BLOB_BYTES, DOWNLOADS));
	const request = {
		method: 'GET',
		path: `/v2/${target.image}/manifests/latest`,
		headers: { authorization: `Bearer ${target.token}` },
		status: 200,
	} as const;
	const loaded = await most(target, metrics, load(target, request, LOAD_SECONDS));
	await target.stop();
	return [
		['idle', idle],
		[`${DOWNLOADS} blobs of 100 MB at once`, streaming],
		['manifests from memory, after that', loaded],
	];
}

/** @returns the memory at the moment at which it was the most */
async function most(target: Target, metrics: string, work: Promise<unknown>): Promise<Memory> {
	let isRunning = true;
	const ended = work.finally(() => (isRunning = false));
	let highest = await read(target, metrics);
	while (isRunning) {
		await wait(SAMPLE_MS);
		const now = await read(target, metrics);
		highest = now.resident > highest.resident ? now : highest;
	}
	await ended;
	return highest;
}

async function read({ pid }: Target, metrics: string): Promise<Memory> {
	const text = await (await fetch(metrics)).text();
	const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0) / MB;
	const young = value('nodejs_heap_space_size_total_bytes{space="new"}');
	return {
		resident: residentMb(pid, 'VmRSS'),
		young,
		old: value('nodejs_heap_size_total_bytes') - young,
		external: value('nodejs_external_memory_bytes'),
	};
}

function report(measured: Map<string, Memory[]>): string {
	const rows = [...measured].map(([row, memories]) => {
		const of = (key: keyof Memory): number => median(memories.map((memory) => memory[key]));
		const rest = of('resident') - of('young') - of('old') - of('external');
		return `| ${row} | **${figure(of('resident'))}** | ${[of('young'), of('old'), of('external'), rest].map(figure).join(' | ')} |`;
	});
	return `# Where the memory is

What \`npm run bench:memory\` measured, Node ${process.version.slice(1)}, MB (2^20), medians of ${ROUNDS} processes each, at the moment at which it was the most.

| Doing | Started | Resident | Young generation | Rest of V8's heap | Buffers | Node itself, and what it has not given back |
| --- | --- | --- | --- | --- | --- | --- |
${rows.join('\n')}

- Of the rest, some 50 MB are Node's own program, which processes of one machine share.
- Buffers are what is on its way: pieces of 64 KB, as many as both sockets of a download take, and those that nothing refers to any more until the next collection, at the latest after 16 MB
  (\`src/process/minor-gc.ts\`).
- The young generation grows with what is allocated between two looks of V8 at it. One of \`--max-semi-space-size=4\`, by \`NODE_OPTIONS\`, is a third less memory under load and about an eighth more processor time: for machines that have little. Fewer arenas of the allocator, another allocator and its thresholds change nothing beyond the spread.
- What clients can have remembered is bounded, whoever they are: 32 MB of tokens, \`MANIFEST_CACHE_BYTES\` of manifests, and some ten thousand names, tokens and redirects, of which [scale.md](scale.md) shows the sum.
`;
}
