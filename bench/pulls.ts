import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Target } from './targets.ts';

/** Pulls the image as a person would, with skopeo: ping, token, manifest, config and ten layers of 4 MB in all. @returns milliseconds */
export async function pull({ url, image }: Pick<Target, 'url' | 'image'>): Promise<number> {
	const directory = mkdtempSync(join(tmpdir(), 'bench-pull-'));
	try {
		const start = performance.now();
		await promisify(execFile)('skopeo', [
			'--insecure-policy',
			'copy',
			'--quiet',
			'--src-tls-verify=false',
			`docker://${new URL(url).host}/${image}`,
			`dir:${directory}`,
		]);
		return performance.now() - start;
	} finally {
		rmSync(directory, { recursive: true, force: true });
	}
}
