import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { until } from '../support/until.ts';
import { NotRun } from './client.ts';

/** A daemon of a client, until it is stopped. */
export interface Daemon {
	stop(): Promise<void>;
}

const READY_SECONDS = 60;

/**
 * @param isReady asked again and again until it says yes
 * @throws NotRun with the end of its log where it does not come up
 */
export async function startDaemon(command: string, args: string[], isReady: () => Promise<boolean>): Promise<Daemon> {
	const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
	const exited = Promise.race([once(child, 'exit'), once(child, 'error')]);
	let log = '';
	for (const stream of [child.stdout, child.stderr]) {
		stream.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-2000)));
	}
	const isUp = async (): Promise<boolean> => {
		assert.equal(child.exitCode, null, 'it has ended');
		return await isReady();
	};
	await until(isUp, { seconds: READY_SECONDS, everyMs: 200 }).catch(() => {
		child.kill('SIGKILL');
		throw new NotRun(`${command} did not start: ${log.trim().split('\n').at(-1)}`);
	});
	return {
		async stop() {
			child.kill();
			await exited;
		},
	};
}
