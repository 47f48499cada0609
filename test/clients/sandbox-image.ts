import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from './cache.ts';
import { directoryOf } from './packages.ts';

/** What every Pod's sandbox runs: a program that waits. */
export const SANDBOX = 'localhost/sandbox:1';

/** @returns an archive as `docker save` writes it, of an image with one program */
export async function sandboxImage(directory: string): Promise<string> {
	const at = join(directory, 'sandbox');
	await mkdir(at);
	await must('tar', ['-C', directoryOf('Kubernetes'), '-cf', join(at, 'layer.tar'), 'wait']);
	const layer = createHash('sha256')
		.update(await readFile(join(at, 'layer.tar')))
		.digest('hex');
	const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
	await writeFile(
		join(at, 'config.json'),
		JSON.stringify({
			architecture,
			os: 'linux',
			config: { Entrypoint: ['/wait'] },
			rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
		}),
	);
	await writeFile(join(at, 'manifest.json'), JSON.stringify([{ Config: 'config.json', RepoTags: [SANDBOX], Layers: ['layer.tar'] }]));
	await must('tar', ['-C', at, '-cf', `${at}.tar`, 'manifest.json', 'config.json', 'layer.tar']);
	return `${at}.tar`;
}
