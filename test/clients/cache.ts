import { homedir } from 'node:os';
import { join } from 'node:path';
import { run, type Finished } from '../support/run.ts';

/** Where clients that are built or installed for the matrix are kept between runs. */
export const BIN = join(homedir(), '.cache', 'open-balena-registry-proxy', 'clients');

/** The environment that Go builds in. */
export const GO = { CGO_ENABLED: '0', GOTOOLCHAIN: 'local' };

const BUILD_SECONDS = 1200;

/** Runs a command that has to succeed. @throws with the end of what it printed */
export async function must(command: string, args: string[], env: Record<string, string> = {}): Promise<Finished> {
	const outcome = await run(command, args, { env, seconds: BUILD_SECONDS });
	if (outcome.code !== 0) {
		throw new Error(`${command} ${args.join(' ')} failed:\n${outcome.printed.slice(-2000)}`);
	}
	return outcome;
}
