import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
let script: string | undefined;

/** Builds what the container image runs, once. @returns the script that starts it */
export function builtService(): string {
	if (script === undefined) {
		execFileSync(process.execPath, [join(ROOT, 'deploy/build.ts')], { stdio: 'inherit' });
		script = join(ROOT, 'dist/server.mjs');
	}
	return script;
}
