import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { run } from './local-base.ts';

export interface Container {
	/** Where the service said that it listens. */
	url: string;
	/** Every log line so far. */
	log: string[];
	/** Runs a program in it. @returns its exit code */
	exec(args: string[], env?: Record<string, string>): number;
	/** @returns the exit code of its first process, after that got a signal */
	end(signal: string): number;
}

/** As a cluster that allows nothing would run it. */
const RESTRICTED = ['--read-only', '--read-only-tmpfs=false', '--cap-drop=ALL', '--security-opt=no-new-privileges'];
/** Limits that can be set without CAP_SYS_RESOURCE; health checks would be timers of a systemd that need not be there, so the test runs them itself. */
const PORTABLE = ['--ulimit=nofile=1024:1024', '--ulimit=nproc=1024:1024', '--no-healthcheck'];

let found: string[] | undefined;

/** @returns podman with the first of its runtimes that works on this machine: which ones do depends on its control groups. @throws where none does */
function podman(image: string): string[] {
	if (found === undefined) {
		const failures: string[] = [];
		found = [[], ['--runtime=crun'], ['--runtime=runc']].find((options) => {
			try {
				run('podman', [...options, 'run', '--rm', ...PORTABLE, '--network=none', image, '--version']);
				return true;
			} catch (error) {
				failures.push((error as Error).message);
				return false;
			}
		});
		if (found === undefined) {
			throw new Error(`podman can run nothing here: ${failures.join('; ')}`);
		}
	}
	return found;
}

/**
 * Starts the image as it is, and waits until the service listens. It is removed when the test ends.
 *
 * @param options for `podman run`, its network for one
 */
export async function startContainer(t: TestContext, image: string, options: string[]): Promise<Container> {
	const global = podman(image);
	const id = run('podman', [...global, 'run', '--detach', ...RESTRICTED, ...PORTABLE, ...options, image]).trim();
	const log: string[] = [];
	const follower = spawn('podman', ['logs', '--follow', id], { stdio: ['ignore', 'pipe', 'pipe'] });
	t.after(() => {
		follower.kill();
		run('podman', [...global, 'rm', '--force', '--time=0', id]);
	});
	const url = await new Promise<string>((resolve, reject) => {
		for (const stream of [follower.stdout, follower.stderr]) {
			createInterface(stream).on('line', (line) => {
				log.push(line);
				const listening = /listening (?:at|on) (https?:\/\/[^"\s]+)/i.exec(line);
				if (listening !== null) {
					resolve(listening[1]!);
				}
			});
		}
		follower.once('exit', () => reject(new Error(`the container ended before it listened:\n${log.join('\n')}`)));
	});
	return {
		url,
		log,
		exec: (args, env = {}) => {
			try {
				run('podman', [...global, 'exec', ...Object.entries(env).map(([name, value]) => `--env=${name}=${value}`), id, ...args]);
				return 0;
			} catch {
				return 1;
			}
		},
		end: (signal) => {
			run('podman', [...global, 'kill', `--signal=${signal}`, id]);
			return Number(run('podman', [...global, 'wait', id]));
		},
	};
}
