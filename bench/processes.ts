import { spawn, spawnSync, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** Clock ticks of /proc/<pid>/stat a second: USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS = 100;
const START_LIMIT_MS = 15_000;

/** A program under test. */
export interface Running {
	pid: number;
	stop(): Promise<void>;
}

const children = new Set<ChildProcess>();
// Nothing outlives the benchmark, however it ends.
process.on('exit', () => children.forEach((child) => child.kill('SIGTERM')));

/** Starts a program. What it writes to standard output is dropped, unless `stdio` says otherwise; its errors are shown. */
export function run(
	command: string,
	parameters: string[],
	env: Record<string, string> = {},
	stdio: StdioOptions = ['ignore', 'ignore', 'inherit'],
): Running {
	const child = spawn(command, parameters, { env: { ...process.env, ...env }, stdio });
	children.add(child);
	child.once('exit', () => children.delete(child));
	return { pid: child.pid!, stop: () => stop(child) };
}

/** Ends all that was started and still runs. */
export async function stopAll(): Promise<void> {
	await Promise.all([...children].map(stop));
}

async function stop(child: ChildProcess): Promise<void> {
	if (child.exitCode === null && child.signalCode === null) {
		const exited = once(child, 'exit');
		child.kill('SIGTERM');
		await exited;
	}
}

/** Waits until a URL answers at all. @returns milliseconds from the call to the end of the answer. @throws Error after 15 seconds */
export async function waitForAnswer(url: string, everyMs = 20): Promise<number> {
	const start = performance.now();
	while (performance.now() - start < START_LIMIT_MS) {
		try {
			await (await fetch(url)).arrayBuffer();
			return performance.now() - start;
		} catch {
			await wait(everyMs);
		}
	}
	throw new Error(`${url} does not answer`);
}

/** @returns processor seconds that a process has used, in user and kernel mode: proc(5), fields 14 and 15 of stat */
export function cpuSeconds(pid: number): number {
	const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
	// The name, in brackets, may hold spaces.
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
	return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** @returns megabytes: resident now (VmRSS), or the most since `resetPeak` (VmHWM) */
export function residentMb(pid: number, which: 'VmRSS' | 'VmHWM'): number {
	const line = new RegExp(`^${which}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
	return Number(line?.[1]) / 1024;
}

/** Lets VmHWM begin anew: proc(5), clear_refs. */
export function resetPeak(pid: number): void {
	writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** @returns the first child of a process, such as nginx's worker. @throws Error where it has none */
export function childOf(pid: number): number {
	const child = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0]);
	if (!(child > 0)) {
		throw new Error(`process ${pid} has no children`);
	}
	return child;
}

/** Debian's package of each program that a benchmark may need, where it has another name. */
const PACKAGES: Record<string, string> = { nginx: 'nginx-light' };

/** Ends the process, with what to install, where a program is not there. */
export function needPrograms(programs: string[]): void {
	const missing = programs.filter((program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).error !== undefined);
	if (missing.length > 0) {
		const packages = missing.map((program) => PACKAGES[program] ?? program);
		console.error(`the benchmark needs ${missing.join(', ')}: apt-get install ${packages.join(' ')}`);
		process.exit(1);
	}
}

/** @returns a new folder, which nginx's worker can read too: it runs as another user */
export function readableDirectory(): string {
	const directory = mkdtempSync(join(tmpdir(), 'bench-'));
	chmodSync(directory, 0o755);
	return directory;
}
