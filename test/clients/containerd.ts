import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, type Finished, type Outcome } from '../support/run.ts';
import { until } from '../support/until.ts';
import type { Pull } from './client.ts';
import { startDaemon } from './daemon.ts';
import { built } from './install.ts';

/* containerd, which several clients pull through. */

/** One generation of containerd. */
export interface Generation {
	name: string;
	daemon: string;
	ctr: string;
	pullOptions: string[];
	/** Its configuration, whose form changed between the generations. */
	config(directory: string): string;
}

export const CONTAINERD_1: Generation = {
	name: 'containerd 1',
	daemon: 'containerd',
	ctr: 'ctr',
	pullOptions: [],
	config: (directory) => `version = 2
root = "${directory}/root"
state = "${directory}/state"
[grpc]
address = "${directory}/socket"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "${directory}/hosts"
`,
};

export const CONTAINERD_2: Generation = {
	name: 'containerd 2',
	get daemon() {
		return built('containerd');
	},
	get ctr() {
		return built('ctr');
	},
	// In ctr itself: the daemon's transfer service, which unpacks one platform only, is what CRI uses.
	pullOptions: ['--local'],
	config: (directory) => `version = 3
root = "${directory}/root"
state = "${directory}/state"
[grpc]
address = "${directory}/socket"
[plugins."io.containerd.cri.v1.images"]
snapshotter = "native"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "${directory}/hosts"
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
platform = "linux/amd64"
snapshotter = "native"
differ = "walking"
`,
};

/** A daemon of one's own. */
export interface Containerd {
	directory: string;
	socket: string;
	ctr(...args: string[]): Promise<Outcome>;
	/** Says how the registry of a pull is reached, and empties a namespace for it. @returns the directory that says so, for clients that have to be told */
	prepare(pull: Pull, namespace: string): Promise<string>;
	/** What is in the store. */
	digests(namespace: string): Promise<string>;
	stop(): Promise<void>;
}

/** A containerd with both of its doors: ctr, and the Container Runtime Interface through which the kubelet pulls. */
export async function startContainerd({ daemon, ctr, config }: Generation): Promise<Containerd> {
	const directory = await mkdtemp(join(tmpdir(), 'containerd-'));
	await writeFile(`${directory}/config.toml`, config(directory));
	const call = (...args: string[]): Promise<Finished> => run(ctr, ['--address', `${directory}/socket`, ...args], { seconds: 120 });
	const running = await startDaemon(
		daemon,
		['--config', `${directory}/config.toml`, '--log-level', 'error'],
		async () => (await call('version')).code === 0,
	);

	/** Removes all images of a namespace, and what they are made of. */
	async function empty(namespace: string): Promise<void> {
		// Its warnings are on standard error.
		const listed = async (what: string): Promise<string[]> =>
			(await call('--namespace', namespace, what, 'ls', '--quiet')).stdout.split('\n').filter((line) => line !== '');
		// A lease keeps what was pulled under it, also after its image is gone.
		const isEmpty = async (): Promise<boolean> => {
			for (const what of ['leases', 'images']) {
				const names = await listed(what);
				if (names.length > 0) {
					await call('--namespace', namespace, what, 'rm', '--sync', ...names);
				}
			}
			return (await listed('content')).length === 0;
		};
		await until(isEmpty, { everyMs: 100 });
	}

	return {
		directory,
		socket: `${directory}/socket`,
		ctr: call,
		async prepare(pull, namespace) {
			await empty(namespace);
			return writeHosts(directory, pull);
		},
		digests: async (namespace) => (await call('--namespace', namespace, 'content', 'ls', '--quiet')).printed,
		async stop() {
			await running.stop();
			await rm(directory, { recursive: true, force: true });
		},
	};
}

/** `hosts.toml`: containerd's own way to say how a registry is reached. @returns the directory that is to be named to clients */
export async function writeHosts(directory: string, { host, mirrored = host, ca }: Pull): Promise<string> {
	const hosts = join(directory, 'hosts');
	const own = join(hosts, mirrored);
	await mkdir(own, { recursive: true });
	const trust = ca === undefined ? '' : `ca = "${join(own, 'ca.pem')}"\n`;
	if (ca !== undefined) {
		await copyFile(ca, join(own, 'ca.pem'));
	}
	const url = `${ca === undefined ? 'http' : 'https'}://${host}`;
	const server = mirrored === host ? url : `https://${mirrored}`;
	await writeFile(join(own, 'hosts.toml'), `server = "${server}"\n[host."${url}"]\ncapabilities = ["pull", "resolve"]\n${trust}`);
	return hosts;
}

/** @returns the reference with a tag or a digest, without which containerd's own tools take none */
export function tagged({ host, mirrored = host, reference }: Pull): string {
	return `${mirrored}/${reference}${/[:@][^/]*$/.test(reference) ? '' : ':latest'}`;
}
