import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guarded } from './support/guarded.ts';

/*
 * `node test/run.ts [--no-upstream] [--test-…] [file or folder …]`: Node's test runner with what all tests share: one stand-in for the upstreams (left out with
 * --no-upstream), a list of what was skipped at the end, and a guard that nothing but loopback is reached. Without paths it runs everything. Options of the runner's own, such as `--test-name-pattern=stale`, are passed on.
 */

const given = process.argv.slice(2);
const paths = given.filter((argument) => !argument.startsWith('--'));
const patterns = (paths.length === 0 ? ['test'] : paths).map((path) => (isFolder(path) ? `${path}/**/*.test.ts` : path));
const directory = mkdtempSync(join(tmpdir(), 'test-run-'));
const record = join(directory, 'reached-out');

const child = spawn(
	process.execPath,
	[
		'--test',
		'--test-timeout=300000',
		...(given.includes('--no-upstream') ? [] : ['--test-global-setup=test/global-setup.ts']),
		...['spec', './test/support/skipped-reporter.ts'].flatMap((reporter) => [
			`--test-reporter=${reporter}`,
			'--test-reporter-destination=stdout',
		]),
		...given.filter((argument) => argument.startsWith('--test-')),
		...patterns,
	],
	{ stdio: 'inherit', env: { ...process.env, ...guarded(record) } },
);
// Ctrl-C reaches the runner too, which still has its stand-in to stop.
process.on('SIGINT', () => undefined);
const [code] = (await once(child, 'exit')) as [number | null];

const reached = recorded();
if (reached !== '') {
	console.error(`Tests may reach loopback only. These tried something else:\n${reached}`);
}
rmSync(directory, { recursive: true });
process.exitCode = reached === '' ? (code ?? 1) : 1;

function isFolder(path: string): boolean {
	return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function recorded(): string {
	try {
		return readFileSync(record, 'utf8');
	} catch {
		return '';
	}
}
