import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { needs } from '../upstream/tools.ts';
import { run, type Outcome } from './run.ts';
import { until } from './until.ts';

/** A Docker Engine of one's own, which needs root, and its command line with a configuration of its own. */
export interface Engine {
	/** Everything of it is in here. */
	directory: string;
	docker(...args: string[]): Promise<Outcome>;
	login(host: string, key: string): Promise<Outcome>;
	stop(): Promise<void>;
}

const READY_SECONDS = 60;

/** Runs a command in the background and ends it when standard input closes, which also happens when this process is killed. */
const UNTIL_STDIN_CLOSES = 'exec 3<&0; "$0" "$@" 3<&- & daemon=$!; { read _ <&3; kill $daemon; } & wait $daemon';

/** Options for a test with an engine: skipped by what is missing, as with `needs`. */
export function needsEngine(): { skip: string | false } {
	const { skip } = needs('dockerd', 'docker');
	const isRoot = process.getuid?.() === 0 || process.env.CI === 'true';
	return { skip: skip === false && !isRoot ? 'dockerd has to be started by root' : skip };
}

/**
 * Starts dockerd without a network for containers, in a directory that `stop` removes.
 *
 * @param options another generation of it, with what it needs
 * @throws with its log where it does not come up
 */
export async function startEngine({
	command = 'dockerd',
	args = [],
	env: daemonEnv = {},
}: { command?: string; args?: string[]; env?: Record<string, string> } = {}): Promise<Engine> {
	const directory = await mkdtemp(join(tmpdir(), 'engine-'));
	const socket = `unix://${directory}/docker.sock`;
	const place = ['--data-root', `${directory}/data`, '--exec-root', `${directory}/exec`, '--pidfile', `${directory}/pid`, '--host', socket];
	const daemon = spawn(
		'/bin/sh',
		['-c', UNTIL_STDIN_CLOSES, command, '--iptables=false', '--ip6tables=false', '--bridge=none', ...place, ...args],
		{ env: { ...process.env, ...daemonEnv }, stdio: ['pipe', 'pipe', 'pipe'] },
	);
	const exited = once(daemon, 'exit');
	let log = '';
	daemon.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
	daemon.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));

	const env = { DOCKER_HOST: socket, DOCKER_CONFIG: `${directory}/config` };
	const docker = (...args: string[]): Promise<Outcome> => run('docker', args, { env, seconds: 120 });
	const stop = async (): Promise<void> => {
		daemon.stdin.end();
		await exited;
		await rm(directory, { recursive: true, force: true });
	};

	const isUp = async (): Promise<boolean> => {
		assert.equal(daemon.exitCode, null, 'it has ended');
		return (await docker('version')).code === 0;
	};
	await until(isUp, { seconds: READY_SECONDS, everyMs: 100 }).catch(async (error: unknown) => {
		await stop();
		throw new Error(`dockerd did not come up:\n${log}`, { cause: error });
	});
	return {
		directory,
		docker,
		stop,
		login: (host, key) => run('docker', ['login', '--username', 'anyone', '--password-stdin', host], { env, input: key }),
	};
}

/** @returns what is left of an engine that has been stopped: mounts, and the command lines of processes */
export async function remainsOf({ directory }: Engine): Promise<string[]> {
	const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
	// A process may end while it is looked at.
	const commands = await Promise.all(processes.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')));
	const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n');
	return [...commands, ...mounts].filter((line) => line.includes(directory));
}
