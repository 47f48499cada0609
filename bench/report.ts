import { figure, pairedRatio, withSpread } from './statistics.ts';

/** What one target gave in each round. */
export interface Measured {
	target: string;
	values: number[];
	/** Further figures of the same rounds. */
	more: Record<string, number[]>;
}

export interface Measurement {
	name: string;
	unit: string;
	isMoreBetter: boolean;
	measured: Measured[];
}

export interface Aim {
	what: string;
	reached: number;
	atLeast?: number;
	atMost?: number;
}

/** @returns docs/performance.md: a table a measurement, each figure with its spread, and what was aimed at */
export function report(
	measurements: Measurement[],
	aims: Aim[],
	{ cores, rounds, seconds, node }: { cores: number; rounds: number; seconds: number; node: string },
): string {
	return `# Performance

What \`npm run bench\` measured in one run: this service, nginx as a reverse proxy (one worker, connections to the upstream kept), and a minimal proxy of Express 5 and http-proxy-middleware 4 that rewrites by the
token's alias, and a bare server of Node that checks nothing (the floor), all in front of the same static upstream, with the load beside them on ${cores} cores, Node ${node.slice(1)}. ${rounds} rounds in turns, load of ${seconds} s over 32 connections; medians, with the least and the most in brackets. The machine is shared and noisy: only the
ratios mean anything, and they are medians of the ratios round by round.

How cost grows with names, tokens, connections and processes, and what a whole pull costs: [scale.md](reports/scale.md). Where the memory is: [memory.md](reports/memory.md). What the first pull of a name waits for: [cold.md](reports/cold.md).

${measurements.map(table).join('\n')}
## What is aimed at

| Figure | Aim | Reached | |
| --- | --- | --- | --- |
${aims.map(aim).join('\n')}

## Why it is as fast as it is

- A manifest, a redirect or an anonymous token from memory costs no upstream request and no promise: a look-up by a hash of the token, and one write. The rest is Node's HTTP server, Fastify's routing, the count for the limit, and the log line.
- Nothing waits for the end of an answer: of a reply that a handler or an async function returns, Fastify does, with the listeners of a stream. What answers returns nothing (\`plugins/service/answer-later.ts\`).
- Log lines go out in pieces of 8 KB, as bytes: texts pino's destination would join and measure anew with each line, which was a quarter of an answer from memory. And each is one \`JSON.stringify\`: pino quotes each name and text by itself,
  which takes five times as long.
- A small body goes out as one text with its head: to write it takes a tenth less of the whole than to gather two pieces. At 12 KB the pieces are faster.
- Answers that are ready in one turn of the event loop are written together (\`plugins/service/end-of-turn.ts\`). A write wakes its reader, which on a virtual machine may cost more than all else that is done for a request.
- Small answers of the registry are read whole through undici's dispatch: the stream around an answer would cost a third more.
- Blobs go through @fastify/reply-from, over a handler of undici's that streams large bodies and reads all else whole (\`src/http/forward-request.ts\`).
- Nothing of a request outlives it (\`src/passing-map.ts\`). Collections of the young generation took 8 to 10 ms, and let 4 MB through each, because the old tables of long-lived maps kept every request until the next full collection; now they take 1 to 2 ms. That was most of the tail of forwarded answers.
- What bounded streaming was garbage collection: each read allocates 64 KB outside of V8's heap, and V8 answered its limit of external memory with full collections. One collection of the young generation every 16 MB (\`src/process/minor-gc.ts\`): 1.4 instead of 2.3 seconds of
  processor time for a GB.
- Forwarded, a request allocates some 44 KB, half of it in Node and undici. With a young generation of 64 MB (\`--min-semi-space-size=64 --max-semi-space-size=64\`) it took a fifth less of processor time than as it is, with one of 4 MB about a tenth
  more; [what memory that is](reports/memory.md). No flag of the collector's threads changed anything.
- The image runs [a few files](decisions/0015-the-image-runs-few-files.md) in place of a thousand modules: half of the time of a start, and 18 MB of the idle process.
- No schema compiler is loaded, because no route has a schema: 5 MB, and 100 files at the start. Caches take memory as they fill (\`src/lru.ts\`): 6 MB, and a tenth of the start.
- Of the processor time of a manifest from memory, a profile gives a third to Node's HTTP, a fifth to the write, an eighth to the log line, a tenth to Fastify, and a sixteenth each to limits and tokens with their hashes, and to all else of
  this service. Forwarded: Node 19 %, undici 16 %, this service 16 %, two writes 13 %, limits, tokens and hashes 9 %, the log line and Fastify 6 % each. Nothing else is above 2 %. What bare Node takes in the tables above is the floor.
- What would help further in @fastify/reply-from itself: taking a signal, copying headers once instead of three times, and not building a cache key by JSON for each request; that is about a quarter of what forwarding a small answer costs.
`;
}

function table({ name, unit, isMoreBetter, measured }: Measurement): string {
	const extras = [...new Set(measured.flatMap(({ more }) => Object.keys(more)))];
	const base = measured.find(({ target }) => target.startsWith('nginx'))?.values ?? measured.at(-1)!.values;
	const baseName = measured.find(({ target }) => target.startsWith('nginx'))?.target ?? measured.at(-1)!.target;
	const rows = measured.map(
		({ target, values, more }) =>
			`| ${target} | ${withSpread(values)} | ${figure(pairedRatio(values, base))} |${extras.map((key) => ` ${more[key] === undefined ? '' : withSpread(more[key])} |`).join('')}`,
	);
	return `**${name}**, ${unit}${isMoreBetter ? '' : ' (less is better)'}

| | ${unit} | of ${baseName} |${extras.map((key) => ` ${key} |`).join('')}
| --- | --- | --- |${extras.map(() => ' --- |').join('')}
${rows.join('\n')}
`;
}

function aim({ what, reached, atLeast, atMost }: Aim): string {
	const isReached = atLeast === undefined ? reached <= atMost! : reached >= atLeast;
	return `| ${what} | ${atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`} | ${figure(reached)} | ${isReached ? 'reached' : 'not reached'} |`;
}
