import { setTimeout as wait } from 'node:timers/promises';
import { residentMb, waitForAnswer, type Running } from './processes.ts';
import { freePort } from '../test/upstream/listen.ts';

/**
 * From the start of the process to its first answer, in milliseconds, and what memory it has a little later without any load, in
 * MB (2^20).
 */
export interface Start {
	milliseconds: number;
	idle: number;
}

/** Long enough for what is loaded in the background after the first answer. */
const SETTLE_MS = 2500;

/** Starts a program, asks it for `/ping`, and ends it. */
export async function start(spawn: (port: number) => Running, measuresMemory: boolean): Promise<Start> {
	const port = await freePort();
	const begin = performance.now();
	const running = spawn(port);
	try {
		await waitForAnswer(`http://127.0.0.1:${port}/ping`, 2);
		const milliseconds = performance.now() - begin;
		if (!measuresMemory) {
			return { milliseconds, idle: Number.NaN };
		}
		await wait(SETTLE_MS);
		return { milliseconds, idle: residentMb(running.pid, 'VmRSS') };
	} finally {
		await running.stop();
	}
}
