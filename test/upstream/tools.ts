import { spawnSync } from 'node:child_process';

/** Whether a command can be run on this machine. */
export function isInstalled(command: string): boolean {
	return spawnSync('/bin/sh', ['-c', 'command -v "$0"', command], { stdio: 'ignore' }).status === 0;
}

/**
 * Options for a test that needs commands of the machine: it is skipped, by the name of what is missing. With `CI=true` nothing is skipped: the test runs,
 * and fails.
 */
export function needs(...commands: string[]): { skip: string | false } {
	const missing = commands.filter((command) => !isInstalled(command));
	return { skip: missing.length > 0 && process.env.CI !== 'true' ? `${missing.join(' and ')} is not installed` : false };
}
