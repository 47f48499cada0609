import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, type Outcome } from '../support/run.ts';
import { until } from '../support/until.ts';
import { freePort } from '../upstream/listen.ts';
import { withImage, type Client, type Pulled } from './client.ts';
import { CONTAINERD_2, startContainerd, tagged } from './containerd.ts';
import { startDaemon, type Daemon } from './daemon.ts';
import { built, installDebian } from './install.ts';
import { startApiServer } from './kube-apiserver.ts';
import { directoryOf, PACKAGES } from './packages.ts';
import type { Result } from './report.ts';
import { SANDBOX, sandboxImage } from './sandbox-image.ts';
import type { Servers } from './servers.ts';

/*
 * A kubelet with an API server: Pods are pulled for with their imagePullSecrets, through containerd. A job of its own (`npm run test:kubelet`), because both take
 * minutes to build. Nothing of it is Kubernetes' but these two: there is no scheduler (Pods name the node), no network of Pods (they are on the host's), no account.
 */

const NODE = 'sample';
const SECONDS = 120;

/** A pull secret: the beginning of the names that it is for, and a key. */
type Secret = [server: string, key: string];

interface Kubelet {
	/** Runs a Pod as far as its image. */
	pull(image: string, secrets: Secret[]): Promise<Outcome>;
	prepare(pull: Parameters<Client['pull']>[0]): Promise<void>;
	digests(): Promise<string>;
	stop(): Promise<void>;
}

async function startKubelet(): Promise<Kubelet> {
	const directory = await mkdtemp(join(tmpdir(), 'kubelet-'));
	await installDebian({ etcd: 'etcd-server', kubectl: 'kubernetes-client' });
	const containerd = await startContainerd({
		...CONTAINERD_2,
		daemon: CONTAINERD_2.daemon,
		ctr: CONTAINERD_2.ctr,
		config: (own) => `${CONTAINERD_2.config(own)}[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "${SANDBOX}"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
runtime_path = "${built('containerd-shim-runc-v2')}"
`,
	});
	const daemons: Daemon[] = [containerd];
	const start = async (...daemon: Parameters<typeof startDaemon>): Promise<unknown> => daemons.push(await startDaemon(...daemon));
	const stop = async (): Promise<void> => {
		for (const daemon of daemons.reverse()) {
			if (daemon === containerd) {
				// What still runs has its files mounted in there.
				const tasks = (await containerd.ctr('--namespace', 'k8s.io', 'tasks', 'ls', '--quiet')).printed
					.split('\n')
					.filter((id) => id !== '');
				for (const id of tasks) {
					await containerd.ctr('--namespace', 'k8s.io', 'tasks', 'rm', '--force', id);
				}
			}
			await daemon.stop();
		}
		// The kubelet leaves its own directory mounted on itself.
		for (const mounted of (await readFile('/proc/mounts', 'utf8')).matchAll(new RegExp(`^\\S+ (${directory}\\S*)`, 'gm'))) {
			await run('umount', ['--lazy', mounted[1]!]);
		}
		await rm(directory, { recursive: true, force: true });
	};
	try {
		const { kubeconfig, kubectl } = await startApiServer(directory, start);
		const [kubeletPort, health] = await Promise.all([freePort(), freePort()]);
		await writeFile(
			join(directory, 'kubelet.json'),
			JSON.stringify({
				apiVersion: 'kubelet.config.k8s.io/v1beta1',
				kind: 'KubeletConfiguration',
				address: '127.0.0.1',
				port: kubeletPort,
				healthzPort: health,
				authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
				authorization: { mode: 'AlwaysAllow' },
				containerRuntimeEndpoint: `unix://${containerd.socket}`,
				podLogsDir: join(directory, 'logs'),
				// The machine may be one with the first generation of cgroups, and with its memory shared.
				failCgroupV1: false,
				cgroupsPerQOS: false,
				enforceNodeAllocatable: [],
				failSwapOn: false,
				evictionHard: { 'memory.available': '0%', 'nodefs.available': '0%', 'imagefs.available': '0%' },
			}),
		);
		await start(
			join(directoryOf('Kubernetes'), 'kubelet'),
			[
				`--config=${join(directory, 'kubelet.json')}`,
				`--kubeconfig=${kubeconfig}`,
				`--root-dir=${join(directory, 'root')}`,
				`--cert-dir=${join(directory, 'certificates')}`,
				`--hostname-override=${NODE}`,
			],
			async () => (await kubectl(['get', 'node', NODE])).code === 0,
		);
		const sandbox = await sandboxImage(directory);
		let pods = 0;
		return {
			stop,
			digests: () => containerd.digests('k8s.io'),
			async prepare(pull) {
				await containerd.prepare(pull, 'k8s.io');
				const imported = await containerd.ctr('--namespace', 'k8s.io', 'images', 'import', '--snapshotter', 'native', sandbox);
				if (imported.code !== 0) {
					throw new Error(imported.printed);
				}
			},
			async pull(image, secrets) {
				const name = `pod-${++pods}`;
				for (const [number, [server, key]] of secrets.entries()) {
					await kubectl([
						...['create', 'secret', 'docker-registry', `${name}-${number}`],
						...[`--docker-server=${server}`, '--docker-username=anyone', `--docker-password=${key}`],
					]);
				}
				const created = await kubectl(['create', '-f', '-'], {
					apiVersion: 'v1',
					kind: 'Pod',
					metadata: { name },
					spec: {
						nodeName: NODE,
						hostNetwork: true,
						restartPolicy: 'Never',
						terminationGracePeriodSeconds: 1,
						imagePullSecrets: secrets.map((_, number) => ({ name: `${name}-${number}` })),
						containers: [{ name: 'main', image, imagePullPolicy: 'Always', command: ['/none'] }],
					},
				});
				if (created.code !== 0) {
					return created;
				}
				let outcome: Outcome | undefined;
				await until(
					async () => {
						const { stdout } = await kubectl(['get', 'events', '--field-selector', `involvedObject.name=${name}`, '-o', 'json']);
						const { items } = JSON.parse(stdout) as { items: { reason: string; message: string }[] };
						const pulled = items.find(({ reason }) => reason === 'Pulled');
						const failed = items.find(({ reason, message }) => reason === 'Failed' && /pull image/i.test(message));
						outcome =
							pulled !== undefined
								? { code: 0, printed: pulled.message }
								: failed !== undefined
									? { code: 1, printed: failed.message }
									: undefined;
						return outcome !== undefined;
					},
					{ seconds: SECONDS, everyMs: 500 },
				).catch(async () => (outcome = { code: 1, printed: (await kubectl(['describe', 'pod', name])).printed }));
				await kubectl(['delete', 'pod', name, '--timeout=30s']);
				return outcome!;
			},
		};
	} catch (error) {
		await stop();
		throw error;
	}
}

export async function kubelet(): Promise<Client> {
	const running = await startKubelet();
	return {
		name: 'kubelet',
		version: `${PACKAGES.Kubernetes.version}, containerd 2`,
		noPlatform: true,
		resumes: true,
		hasMirrors: true,
		async pull(pull): Promise<Pulled> {
			await running.prepare(pull);
			const { host, mirrored = host, key } = pull;
			const outcome = await running.pull(tagged(pull), key === undefined ? [] : [[mirrored, key]]);
			return withImage(outcome, running.digests);
		},
		stop: running.stop,
	};
}

/** What docs/pulling.md says of several pull secrets. */
export async function severalSecrets({ plain, upstream: { keys } }: Servers): Promise<Result[]> {
	const running = await startKubelet();
	const cases: [name: string, secrets: Secret[], sentence?: RegExp][] = [
		['for an organisation', [[`${plain}/acme`, keys.owner]]],
		['for a fleet', [[`${plain}/acme/secret`, keys.owner]]],
		[
			'for an organisation, beside one for the host',
			[
				[plain, keys.stranger],
				[`${plain}/acme`, keys.owner],
			],
		],
		[
			'several that fit, tried in turn',
			[
				[plain, 'wrong'],
				[plain, keys.stranger],
				[plain, keys.owner],
			],
		],
		['for another organisation', [[`${plain}/balenalabs`, keys.owner]], /no public fleet acme\/secret/],
		[
			'several that fit, none of which may pull',
			[
				[plain, 'wrong'],
				[plain, keys.stranger],
			],
			/no fleet acme\/secret that this login may pull from/,
		],
	];
	try {
		const results: Result[] = [];
		for (const [name, secrets, sentence] of cases) {
			await running.prepare({ host: plain, reference: 'acme/secret' });
			const { code, printed } = await running.pull(`${plain}/acme/secret/1.0.0`, secrets);
			const isSaid = sentence?.test(printed);
			results.push({
				client: 'kubelet, pull secrets',
				version: PACKAGES.Kubernetes.version,
				name,
				passed: sentence === undefined ? code === 0 : code !== 0 && isSaid === true,
				isSaid,
				printed,
				output: printed,
			});
		}
		return results;
	} finally {
		await running.stop();
	}
}
