import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GO, must } from './cache.ts';

/** What a Pod's sandbox runs. */
const WAIT = `package main

import "time"

func main() {
	for {
		time.Sleep(time.Hour)
	}
}
`;

/**
 * Builds the kubelet and the API server of Kubernetes from its Go module, which lacks the modules that its repository keeps in staging/: those are modules of
 * their own, with versions that start with 0 instead of 1. One that is not published is imported by nothing that is built, and gets an empty one in its place.
 * Takes some five minutes of two cores.
 */
export async function kubernetes(directory: string, version: string): Promise<void> {
	const source = `${directory}.source`;
	try {
		const { stdout } = await must('go', ['mod', 'download', '-json', `k8s.io/kubernetes@v${version}`]);
		await cp((JSON.parse(stdout) as { Dir: string }).Dir, source, { recursive: true });
		await must('chmod', ['-R', 'u+w', source]);
		for (const own of ['go.work', 'go.work.sum', 'vendor']) {
			await rm(join(source, own), { recursive: true, force: true });
		}
		await mkdir(join(source, 'empty'));
		await writeFile(join(source, 'empty', 'go.mod'), 'module k8s.io/sample-cli-plugin\n');
		const file = join(source, 'go.mod');
		const published = `v${version.replace(/^1/, '0')}`;
		await writeFile(
			file,
			(await readFile(file, 'utf8')).replace(/(k8s\.io\/\S+) => \.\/staging\/\S+/g, (_, module: string) =>
				module === 'k8s.io/sample-cli-plugin' ? `${module} => ./empty` : `${module} => ${module} ${published}`,
			),
		);
		await must(
			'nice',
			['go', '-C', source, 'build', '-buildvcs=false', '-mod=mod', '-o', directory, './cmd/kubelet', './cmd/kube-apiserver'],
			GO,
		);
		await writeFile(join(source, 'wait.go'), WAIT);
		await must('go', ['-C', source, 'build', '-o', join(directory, 'wait'), 'wait.go'], GO);
	} finally {
		await rm(source, { recursive: true, force: true });
	}
}
