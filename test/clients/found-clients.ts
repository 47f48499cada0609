import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run, type Outcome } from '../support/run.ts';
import { NotRun, versionOf, withImage, type Client } from './client.ts';
import { CONTAINERD_2, startContainerd, tagged, writeHosts } from './containerd.ts';

/* Clients of containerd that no package registry has: they are run where they are on the machine's PATH. */

/** @returns what the command says of its version. @throws NotRun where there is no such command */
async function foundVersion(command: string): Promise<string> {
	return versionOf(command, '--version').catch(() => {
		throw new NotRun('it is not on this machine, and the Go module proxy does not serve its module');
	});
}

/** nerdctl, with Docker's login and containerd's hosts. */
export async function nerdctl(): Promise<Client> {
	const version = await foundVersion('nerdctl');
	const containerd = await startContainerd(CONTAINERD_2);
	const { directory, socket } = containerd;
	const config = join(directory, 'docker-config');
	await mkdir(config);
	const call = (hosts: string, ...args: string[]): Promise<Outcome> =>
		run(
			'nerdctl',
			[
				'--address',
				socket,
				'--namespace',
				'default',
				'--data-root',
				join(directory, 'nerdctl'),
				'--hosts-dir',
				hosts,
				'--snapshotter',
				'native',
				...args,
			],
			{ env: { DOCKER_CONFIG: config }, seconds: 120 },
		);
	const login = async (host: string, key: string, ca?: string): Promise<Outcome> =>
		call(await writeHosts(directory, { host, reference: '', ca }), 'login', '--username', 'anyone', '--password', key, host);
	return {
		name: 'nerdctl',
		version,
		hasMirrors: true,
		resumes: true,
		async pull(pull) {
			const hosts = await containerd.prepare(pull, 'default');
			await call(hosts, 'logout', pull.host);
			if (pull.key !== undefined) {
				const outcome = await login(pull.host, pull.key, pull.ca);
				if (outcome.code !== 0) {
					return outcome;
				}
			}
			const outcome = await call(hosts, 'pull', ...(pull.platform === undefined ? [] : ['--platform', pull.platform]), tagged(pull));
			return withImage(outcome, () => containerd.digests('default'));
		},
		login,
		stop: containerd.stop,
	};
}

/** crictl, the kubelet's call from a command line. */
export async function crictl(): Promise<Client> {
	const version = await foundVersion('crictl');
	const containerd = await startContainerd(CONTAINERD_2);
	const endpoint = `unix://${containerd.socket}`;
	return {
		name: 'crictl',
		version,
		hasMirrors: true,
		noPlatform: true,
		resumes: true,
		async pull(pull) {
			await containerd.prepare(pull, 'k8s.io');
			const outcome = await run(
				'crictl',
				[
					'--runtime-endpoint',
					endpoint,
					'--image-endpoint',
					endpoint,
					'pull',
					...(pull.key === undefined ? [] : ['--creds', `anyone:${pull.key}`]),
					tagged(pull),
				],
				{ seconds: 120 },
			);
			return withImage(outcome, () => containerd.digests('k8s.io'));
		},
		stop: containerd.stop,
	};
}
