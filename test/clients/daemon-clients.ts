import { credentials, loadPackageDefinition, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEngine, type Engine } from '../support/engine.ts';
import { run, type Outcome } from '../support/run.ts';
import { NotRun, withImage, type Client, type Pull, type Pulled } from './client.ts';
import { CONTAINERD_1, CONTAINERD_2, startContainerd, tagged, type Generation } from './containerd.ts';
import { startDaemon } from './daemon.ts';
import { built, versionInSources } from './install.ts';

/* Clients with a daemon of their own. */

/** dockerd as it has been for years: its own image store, the ping's challenge, no second token. */
export async function dockerClassic(): Promise<Client> {
	const engine = await startEngine();
	const { printed } = await engine.docker('version', '--format', '{{.Server.Version}}, docker {{.Client.Version}}');
	return dockerClient('Docker Engine', printed.trim(), engine, false);
}

/** Docker's engine of 2020, as balenaOS has it. No package registry has it: it is run where it is on the machine's PATH. */
export async function balenaEngine(): Promise<Client> {
	const command = 'balena-engine-daemon';
	if ((await run('/bin/sh', ['-c', `command -v ${command}`])).code !== 0) {
		throw new NotRun(
			`no package registry has it, and there is no ${command} on this machine; Docker Engine 20.10, which it was made from, is run`,
		);
	}
	const engine = await startEngine({ command });
	const { printed } = await engine.docker('version', '--format', '{{.Server.Version}}');
	return dockerClient('balena-engine', printed.trim(), engine, false);
}

/** Docker 29's engine with containerd's image store, its default now. It says of itself only that it was built from a module. */
export async function dockerContainerd(): Promise<Client> {
	const path = await mkdtemp(join(tmpdir(), 'bin-'));
	await symlink(built('containerd'), join(path, 'containerd'));
	const engine = await startEngine({
		command: built('dockerd'),
		args: ['--storage-driver', 'native'],
		env: { PATH: `${path}:${process.env.PATH}` },
	});
	const { printed } = await engine.docker('version', '--format', 'docker {{.Client.Version}}');
	return dockerClient(
		'Docker Engine, containerd store',
		`${versionInSources('dockerd')} of moby (Docker 29), ${printed.trim()}`,
		engine,
		true,
	);
}

/** @param hasIndexes whether its store keeps indexes, and has to be told which of their images to save */
function dockerClient(name: string, version: string, { directory, docker, login, stop }: Engine, hasIndexes: boolean): Client {
	return {
		name,
		version,
		resumes: true,
		async pull(pull) {
			await docker('logout', pull.host);
			if (pull.key !== undefined) {
				const outcome = await login(pull.host, pull.key);
				if (outcome.code !== 0) {
					return outcome;
				}
			}
			await docker('system', 'prune', '--all', '--force');
			const platform = pull.platform === undefined ? [] : ['--platform', pull.platform];
			const image = `${pull.host}/${pull.reference}`;
			const outcome = await docker('pull', ...platform, image);
			if (outcome.code !== 0) {
				return outcome;
			}
			// Of an index, "inspect" tells only the index's digest. What is saved has the names of what has come.
			const saved = `${directory}/image.tar`;
			await rm(saved, { force: true });
			await docker('save', ...(hasIndexes ? platform : []), '--output', saved, image);
			return { ...outcome, image: (await run('tar', ['-tf', saved])).printed };
		},
		login,
		stop,
	};
}

async function ctrClient(kind: Generation): Promise<Client> {
	const containerd = await startContainerd(kind);
	return {
		name: `${kind.name}, ctr`,
		version: /\d+\.\d+\.\d+/.exec((await containerd.ctr('version')).printed)?.[0] ?? '',
		hasMirrors: true,
		resumes: true,
		async pull(pull) {
			const image = tagged(pull);
			const hosts = await containerd.prepare(pull, 'default');
			const outcome = await containerd.ctr(
				'images',
				'pull',
				...kind.pullOptions,
				'--snapshotter',
				'native',
				'--hosts-dir',
				hosts,
				...(pull.platform === undefined ? [] : ['--platform', pull.platform]),
				...(pull.key === undefined ? [] : ['--user', `anyone:${pull.key}`]),
				image,
			);
			return withImage(outcome, () => containerd.digests('default'));
		},
		stop: containerd.stop,
	};
}

export const ctr1 = (): Promise<Client> => ctrClient(CONTAINERD_1);
export const ctr2 = (): Promise<Client> => ctrClient(CONTAINERD_2);

type PullImage = (
	request: { image: { image: string }; auth?: { username: string; password: string } },
	done: (error: ServiceError | null, answer: { imageRef: string }) => void,
) => void;

/** Pulls as the kubelet does: the same call, with a pull secret's credentials in the same place. */
async function criClient(kind: Generation): Promise<Client> {
	const containerd = await startContainerd(kind);
	const { runtime } = loadPackageDefinition(loadSync(fileURLToPath(new URL('cri.proto', import.meta.url)))) as unknown as {
		runtime: { v1: { ImageService: new (...args: unknown[]) => { PullImage: PullImage; close(): void } } };
	};
	const service = new runtime.v1.ImageService(`unix://${containerd.socket}`, credentials.createInsecure());
	return {
		name: `${kind.name}, CRI`,
		version: /\d+\.\d+\.\d+/.exec((await containerd.ctr('version')).printed)?.[0] ?? '',
		hasMirrors: true,
		noPlatform: true,
		resumes: true,
		async pull(pull) {
			await containerd.prepare(pull, 'k8s.io');
			return new Promise<Pulled>((resolve) => {
				service.PullImage(
					{ image: { image: tagged(pull) }, auth: pull.key === undefined ? undefined : { username: 'anyone', password: pull.key } },
					(error, answer) =>
						resolve(error === null ? { code: 0, printed: answer.imageRef, image: answer.imageRef } : { code: 1, printed: error.details }),
				);
			});
		},
		async stop() {
			service.close();
			await containerd.stop();
		},
	};
}

export const cri1 = (): Promise<Client> => criClient(CONTAINERD_1);
export const cri2 = (): Promise<Client> => criClient(CONTAINERD_2);

/** `FROM <reference>` in a Dockerfile. Registries are in buildkitd's configuration, so it is told all of them at its start. */
export async function buildkit(registries: Pick<Pull, 'host' | 'ca'>[]): Promise<Client> {
	const directory = await mkdtemp(join(tmpdir(), 'buildkit-'));
	await writeFile(
		`${directory}/buildkitd.toml`,
		registries
			.map(({ host, ca }) => `[registry."${host}"]\n${ca === undefined ? 'http = true' : `http = false\nca = ["${ca}"]`}\n`)
			.join(''),
	);
	const address = `unix://${directory}/socket`;
	const buildctl = (args: string[], env: Record<string, string> = {}): Promise<Outcome> =>
		run(built('buildctl'), ['--addr', address, ...args], { env, seconds: 120 });
	const running = await startDaemon(
		built('buildkitd'),
		[
			'--config',
			`${directory}/buildkitd.toml`,
			'--root',
			`${directory}/root`,
			'--addr',
			address,
			'--oci-worker-snapshotter',
			'native',
			'--containerd-worker',
			'false',
		],
		async () => (await buildctl(['debug', 'workers'])).code === 0,
	);
	return {
		name: 'BuildKit',
		version: versionInSources('buildkitd'),
		resumes: true,
		async pull(pull) {
			await writeFile(`${directory}/Dockerfile`, `FROM ${pull.host}/${pull.reference}\nLABEL built=${Date.now()}\n`);
			const auths = pull.key === undefined ? {} : { [pull.host]: { auth: Buffer.from(`anyone:${pull.key}`).toString('base64') } };
			await writeFile(`${directory}/config.json`, JSON.stringify({ auths }));
			await buildctl(['prune', '--all']);
			await rm(`${directory}/image`, { recursive: true, force: true });
			const outcome = await buildctl(
				[
					'build',
					'--progress',
					'plain',
					'--frontend',
					'dockerfile.v0',
					'--local',
					`context=${directory}`,
					'--local',
					`dockerfile=${directory}`,
					'--output',
					`type=oci,tar=false,dest=${directory}/image`,
					...(pull.platform === undefined ? [] : ['--opt', `platform=${pull.platform}`]),
				],
				// Tokens are fetched by buildctl, not by the daemon.
				{ DOCKER_CONFIG: directory, ...(pull.ca === undefined ? {} : { SSL_CERT_FILE: pull.ca }) },
			);
			// The layers of what it is FROM are layers of what it built.
			return withImage(outcome, async () => (await readdir(`${directory}/image/blobs/sha256`)).join(' '));
		},
		async stop() {
			await running.stop();
			await rm(directory, { recursive: true, force: true });
		},
	};
}
