import { hash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageSummary } from '../upstream/index.ts';
import { run, type Outcome } from './run.ts';

/** @returns options of skopeo; `prefix` is `src-` or `dest-` for a copy */
export function credentials(key: string | undefined, prefix = ''): string[] {
	return key === undefined ? [`--${prefix}no-creds`] : [`--${prefix}creds`, `anyone:${key}`];
}

/** Copies an image with all its platforms by skopeo. @returns also the digests of all files that came, as computed from their bytes */
export async function copy(host: string, reference: string, key?: string): Promise<Outcome & { digests: string[] }> {
	const directory = await mkdtemp(join(tmpdir(), 'copy-'));
	try {
		const outcome = await run('skopeo', [
			'copy',
			'--all',
			'--src-tls-verify=false',
			...credentials(key, 'src-'),
			`docker://${host}/${reference}`,
			`dir:${directory}`,
		]);
		const files = (await readdir(directory)).filter((name) => name !== 'version');
		const digests = await Promise.all(files.map(async (name) => `sha256:${hash('sha256', await readFile(join(directory, name)), 'hex')}`));
		return { ...outcome, digests: digests.sort() };
	} finally {
		await rm(directory, { recursive: true });
	}
}

/** @returns the digests of everything that an image consists of */
export function digestsOf({ digest, platforms }: ImageSummary): string[] {
	return [
		...new Set([
			digest,
			...platforms.flatMap((platform) => [platform.digest, platform.configDigest, ...platform.layers.map((layer) => layer.digest)]),
		]),
	].sort();
}
