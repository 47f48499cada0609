import { readFileSync } from 'node:fs';

/** Why a test that looks at another process is skipped, if it is. */
export const NO_PROC: string | false = process.platform === 'linux' ? false : 'there is no /proc';

/** Of the kernel's clock ticks, on every machine that Linux runs on (sysconf(3), _SC_CLK_TCK). */
const TICKS_PER_SECOND = 100;

/** @returns the resident memory of a process, in bytes: proc(5), "status" */
export function rssOf(pid: number): number {
	return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

/** @returns the seconds of a processor that a process has used since its start, which do not depend on what else the machine does: proc(5), "stat", utime and stime */
export function processorSecondsOf(pid: number): number {
	// Its name, in brackets, may have spaces.
	const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
		.replace(/^.*\) /, '')
		.split(' ');
	return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
