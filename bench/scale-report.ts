import { figure, median, withSpread } from './statistics.ts';
import type { Behind } from './replicas.ts';

/** How the cost grows along one axis. */
export interface Series {
	what: string;
	steps: { size: number; cpu: number[]; rate: number[]; rss: number[] }[];
}

/** A day of a registry that is asked for a million pulls, with a busiest minute ten times as busy as the others. */
const PULLS_A_DAY = 1e6;
const PEAK = 10;
const SECONDS_A_DAY = 86_400;

/** Why a cost is not flat, by the axis; what is not in here is expected to be. */
const REASONS: Record<string, string> = {
	names:
		'Beyond 10,000 names (and 2,000 tokens) the least used ones are forgotten, so that memory is bounded: each of them then costs a query and a token of the API again. The API that is asked here answers from memory; a real one takes some ms.',
	tokens:
		'What is remembered of tokens is bounded to 32 MB, some 8,000 of them: of the others each use is asked of the registry, as the first one is.',
	connections:
		'Each connection costs some 35 KB, for as long as it is open, and the more are busy at once, the more V8 keeps of what is on its way; with thousands of them the processor finds less of what it needs in its caches.',
};

/** @returns docs/reports/scale.md */
export function scaleReport(
	series: Series[],
	behind: Behind[],
	pull: { what: string; requests: number; cpu: number[] }[],
	{ cores, rounds, seconds, node }: { cores: number; rounds: number; seconds: number; node: string },
): string {
	const pullCpu = pull.reduce((sum, { requests, cpu }) => sum + requests * median(cpu), 0);
	const peak = (PULLS_A_DAY / SECONDS_A_DAY) * PEAK;
	return `# How cost grows

What \`npm run bench:scale\` measured in one run, with the load, the upstream and the service on the same ${cores} cores, Node ${node.slice(1)}: ${rounds} rounds in turns of ${seconds} s; medians, with the least and the most in brackets. Each size has a
process of its own. The machine is shared and noisy: only what compares figures of this page means anything. What a single request costs, beside other proxies, is in [performance.md](../performance.md).

![Processor time of a request, of the smallest size's, as names, tokens and connections grow](scale.svg)

${series.map(table).join('\n')}
**processes behind nginx, a manifest from memory**

| Processes | Redis | requests/s | CPU of all, µs a request |
| --- | --- | --- | --- |
${behind.map(({ processes, hasRedis, rate, cpu }) => `| ${processes} | ${hasRedis ? 'yes' : 'no'} | ${withSpread(rate)} | ${withSpread(cpu)} |`).join('\n')}

The load, nginx and Redis share ${cores} cores with the processes here, so that more of them bring nothing, and each request costs more: every process compiles for itself, and they take each other's place in the caches.
How much a second one brings on a core of its own was not measured.

**a whole pull, from memory**

| | Requests | CPU, µs each | CPU, µs |
| --- | --- | --- | --- |
${pull.map(({ what, requests, cpu }) => `| ${what} | ${requests} | ${withSpread(cpu)} | ${figure(requests * median(cpu))} |`).join('\n')}
| **a pull** | ${pull.reduce((sum, { requests }) => sum + requests, 0)} | | **${figure(pullCpu)}** |

One core of this machine does ${figure(1e6 / pullCpu)} such pulls a second, where the object storage sends the layers. A million pulls a day are ${figure(PULLS_A_DAY / SECONDS_A_DAY)} a second, and ${figure(peak)} in a minute that is ${PEAK} times as busy: ${figure((peak * pullCpu) / 1e4)} % of one core then. Two
replicas are a matter of availability, not of load. Where blobs go through the service, add 1 to 2 seconds of a core for each GB.
`;
}

function table({ what, steps }: Series): string {
	const base = median(steps[0]!.cpu);
	const axis = what.split(/[ ,]/, 1)[0]!;
	const rows = steps.map(
		({ size, cpu, rate, rss }) =>
			`| ${size.toLocaleString('en')} | ${withSpread(cpu)} | ${figure(median(cpu) / base)} | ${figure(median(rate))} | ${figure(median(rss))} |`,
	);
	const isFlat = steps.every(({ cpu }) => median(cpu) / base <= 1.15);
	return `**${what}**

| ${axis[0]!.toUpperCase()}${axis.slice(1)} | CPU, µs a request | of the first | requests/s | RSS, MB |
| --- | --- | --- | --- | --- |
${rows.join('\n')}

${isFlat ? 'Flat within 15 %.' : (REASONS[axis] ?? 'Not flat.')}
`;
}
