import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run, type Outcome } from '../support/run.ts';
import { freePort } from '../upstream/listen.ts';
import type { startDaemon } from './daemon.ts';
import { directoryOf } from './packages.ts';

const TOKEN = 'sample';

/** The API server of Kubernetes and its store: no scheduler, no controllers, no accounts. */
export interface ApiServer {
	/** The file that says how to reach it, with every right. */
	kubeconfig: string;
	/** @param input goes to its standard input, as JSON */
	kubectl(args: string[], input?: object): Promise<Outcome & { stdout: string }>;
}

/**
 * @param directory where its files go
 * @param start starts a daemon, and sees to it that it is stopped
 */
export async function startApiServer(
	directory: string,
	start: (...daemon: Parameters<typeof startDaemon>) => Promise<unknown>,
): Promise<ApiServer> {
	const [etcd, peer, api] = await Promise.all([freePort(), freePort(), freePort()]);
	const store = `http://127.0.0.1:${etcd}`;
	await start(
		'etcd',
		[
			...['--data-dir', join(directory, 'etcd'), '--listen-client-urls', store, '--advertise-client-urls', store],
			...['--listen-peer-urls', `http://127.0.0.1:${peer}`, '--initial-advertise-peer-urls', `http://127.0.0.1:${peer}`],
			...['--initial-cluster', `default=http://127.0.0.1:${peer}`],
		],
		async () =>
			fetch(`${store}/health`).then(
				({ ok }) => ok,
				() => false,
			),
	);
	const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
	const accounts = join(directory, 'accounts.pem');
	await writeFile(accounts, privateKey.export({ type: 'pkcs1', format: 'pem' }));
	await writeFile(join(directory, 'tokens.csv'), `${TOKEN},admin,admin,system:masters\n`);
	const kubeconfig = join(directory, 'kubeconfig');
	await writeFile(
		kubeconfig,
		JSON.stringify({
			apiVersion: 'v1',
			kind: 'Config',
			clusters: [{ name: 'sample', cluster: { server: `https://127.0.0.1:${api}`, 'insecure-skip-tls-verify': true } }],
			users: [{ name: 'admin', user: { token: TOKEN } }],
			contexts: [{ name: 'sample', context: { cluster: 'sample', user: 'admin' } }],
			'current-context': 'sample',
		}),
	);
	const kubectl = async (args: string[], input?: object): Promise<Outcome & { stdout: string }> =>
		run('kubectl', ['--kubeconfig', kubeconfig, ...args], { input: input === undefined ? undefined : JSON.stringify(input) });
	await start(
		join(directoryOf('Kubernetes'), 'kube-apiserver'),
		[
			`--etcd-servers=${store}`,
			'--bind-address=127.0.0.1',
			`--secure-port=${api}`,
			`--cert-dir=${join(directory, 'certificates')}`,
			`--service-account-key-file=${accounts}`,
			`--service-account-signing-key-file=${accounts}`,
			'--service-account-issuer=https://kubernetes.default.svc',
			'--service-cluster-ip-range=10.0.0.0/24',
			`--token-auth-file=${join(directory, 'tokens.csv')}`,
			'--authorization-mode=AlwaysAllow',
			// Nothing gives Pods an account, and nobody has to find the API server.
			'--disable-admission-plugins=ServiceAccount',
			'--endpoint-reconciler-type=none',
		],
		async () => (await kubectl(['get', 'namespace', 'default'])).code === 0,
	);
	return { kubeconfig, kubectl };
}
