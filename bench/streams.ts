import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { cpuSeconds, resetPeak, residentMb } from './processes.ts';
import type { Target } from './targets.ts';
import { GB } from './upstream.ts';

/** What streaming blobs through one target gave. */
export interface Stream {
	/** Megabytes (10^6) a second, of all downloads together. */
	rate: number;
	/** The proxy's own processor seconds for 10^9 bytes. */
	cpuPerGb: number;
	/** Its highest resident memory in the meantime, in MB (2^20). */
	peak: number;
}

/** Downloads a blob with curl, as many times at once as asked. @throws Error where a download is not whole */
export async function stream(target: Target, digest: string, bytes: number, atOnce: number): Promise<Stream> {
	resetPeak(target.pid);
	const cpu = cpuSeconds(target.pid);
	const start = performance.now();
	await Promise.all(
		Array.from({ length: atOnce }, () => download(`${target.url}/v2/${target.image}/blobs/${digest}`, target.token, bytes)),
	);
	const seconds = (performance.now() - start) / 1000;
	const total = bytes * atOnce;
	return { rate: total / 1e6 / seconds, cpuPerGb: ((cpuSeconds(target.pid) - cpu) / total) * GB, peak: residentMb(target.pid, 'VmHWM') };
}

async function download(url: string, token: string, bytes: number): Promise<void> {
	const { stdout } = await promisify(execFile)('curl', [
		'--silent',
		'--fail',
		'--output',
		'/dev/null',
		'--write-out',
		'%{size_download}',
		'--header',
		`Authorization: Bearer ${token}`,
		url,
	]);
	if (Number(stdout) !== bytes) {
		throw new Error(`${url}: ${stdout} bytes instead of ${bytes}`);
	}
}
