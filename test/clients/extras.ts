import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config.ts';
import { run, type Outcome } from '../support/run.ts';
import { mintToken } from '../upstream/control.ts';
import { imageOf, startUpstream, type Upstream } from '../upstream/index.ts';
import { built, versionInSources } from './install.ts';
import { startPushing, type Listener } from './registries.ts';
import type { Result } from './report.ts';
import type { Servers } from './servers.ts';

const BROWSER = 'balenalabs/browser-aarch64';
const SECRET = 'acme/secret';
const SIGNED = 'acme/signed';

/** What is not a pull: lists of tags, referrers, signatures. Each is one client's own command. */
export const EXTRAS: [name: string, run: (servers: Servers) => Promise<Result[]>, needs: string[]][] = [
	[
		'skopeo list-tags',
		(servers) =>
			lists(
				servers,
				'skopeo list-tags',
				'',
				(name, key) =>
					run('skopeo', [
						...['list-tags', '--tls-verify=false', ...(key === undefined ? ['--no-creds'] : ['--creds', `anyone:${key}`])],
						`docker://${name}`,
					]),
				true,
			),
		[],
	],
	[
		'crane ls',
		(servers) =>
			lists(servers, 'crane ls', versionInSources('crane'), (name, key) =>
				withDockerConfig(name, key, (env) => run(built('crane'), ['ls', '--insecure', name], { env })),
			),
		['crane'],
	],
	[
		'oras repo tags',
		(servers) =>
			lists(servers, 'oras repo tags', versionInSources('oras'), (name, key) =>
				withDockerConfig(name, key, (env) => run(built('oras'), ['repo', 'tags', '--plain-http', name], { env })),
			),
		['oras'],
	],
	[
		'regctl tag ls',
		(servers) =>
			lists(servers, 'regctl tag ls', versionInSources('regctl'), (name, key) => {
				const login = key === undefined ? '' : `,user=anyone,pass=${key}`;
				return run(built('regctl'), ['tag', 'ls', '--host', `reg=${servers.plain},tls=disabled${login}`, name]);
			}),
		['regctl'],
	],
	[
		'referrers',
		async ({ plain, upstream }) => [
			...(await referrers('referrers by the fallback tag', plain, upstream)),
			...(await withReferrersApi((host, own) => referrers('referrers by the API', host, own))),
		],
		['oras', 'regctl'],
	],
	['cosign verify', ({ plain, upstream }) => signatures(plain, upstream), ['cosign']],
];

/**
 * A public fleet's versions, a private fleet's, and what whoever may not have those is told.
 *
 * @param hides whether the client prints no more than the status
 */
async function lists(
	{ plain, upstream }: Servers,
	client: string,
	version: string,
	list: (name: string, key?: string) => Promise<Outcome>,
	hides = false,
): Promise<Result[]> {
	const publicly = await list(`${plain}/${BROWSER}`);
	const privately = await list(`${plain}/${SECRET}`, upstream.keys.owner);
	const refused = await list(`${plain}/${SECRET}`);
	const isSaid = /no public fleet acme\/secret/.test(refused.printed);
	return [
		{
			name: 'versions of a fleet',
			passed: publicly.code === 0 && publicly.printed.includes('2.3.8') && !publicly.printed.includes('2.5.0'),
			printed: publicly.printed,
		},
		{
			name: 'versions of a private fleet',
			passed: privately.code === 0 && privately.printed.includes('1.1.0'),
			printed: privately.printed,
		},
		{ name: 'versions of a private fleet, anonymously', passed: refused.code !== 0 && isSaid !== hides, isSaid, printed: refused.printed },
	].map((result) => ({ client, version, ...result }));
}

/** A configuration as `docker login` writes it, for clients that read that. */
async function withDockerConfig<T>(name: string, key: string | undefined, use: (env: { DOCKER_CONFIG: string }) => Promise<T>): Promise<T> {
	const directory = await mkdtemp(join(tmpdir(), 'login-'));
	try {
		await writeFile(
			join(directory, 'config.json'),
			JSON.stringify({
				auths: key === undefined ? {} : { [name.split('/')[0]!]: { auth: Buffer.from(`anyone:${key}`).toString('base64') } },
			}),
		);
		return await use({ DOCKER_CONFIG: directory });
	} finally {
		await rm(directory, { recursive: true, force: true });
	}
}

/** Whether the registry has the API for them, clients have to find out: nobody tells them. */
async function referrers(name: string, host: string, upstream: Upstream): Promise<Result[]> {
	const { digest, referrer } = imageOf(upstream, SIGNED);
	const image = `${host}/${SIGNED}@${digest}`;
	const result = (client: string, binary: string, { code, printed }: { code: number; printed: string }): Result => ({
		client,
		version: versionInSources(binary),
		name,
		passed: code === 0 && printed.includes(referrer!.digest.slice(0, 20)),
		printed,
	});
	const layout = await mkdtemp(join(tmpdir(), 'oras-'));
	try {
		const copied = await run(built('oras'), ['copy', '-r', '--from-plain-http', image, '--to-oci-layout', `${layout}:copied`]);
		const blobs = copied.code === 0 ? await readdir(join(layout, 'blobs', 'sha256')) : [];
		return [
			result('oras discover', 'oras', await run(built('oras'), ['discover', '--plain-http', image])),
			result('oras copy -r', 'oras', { ...copied, printed: `${copied.printed} ${blobs.map((blob) => `sha256:${blob}`).join(' ')}` }),
			result(
				'regctl artifact list',
				'regctl',
				await run(built('regctl'), ['artifact', 'list', '--host', `reg=${host},tls=disabled`, image]),
			),
		];
	} finally {
		await rm(layout, { recursive: true, force: true });
	}
}

/** docker-registry has no referrers API; the embedded registry has. */
async function withReferrersApi<T>(use: (host: string, upstream: Upstream) => Promise<T>): Promise<T> {
	const upstream = await startUpstream({ registry: 'embedded', referrers: true });
	const app = await buildApp(
		parseConfig({ PROXY_HOST: '127.0.0.1', PROXY_PORT: '0', API_URL: upstream.apiUrl, REGISTRY_URL: upstream.registryUrl }),
	);
	await app.listen({ host: '127.0.0.1', port: 0 });
	try {
		return await use(`127.0.0.1:${(app.server.address() as AddressInfo).port}`, upstream);
	} finally {
		await app.close();
		await upstream.close();
	}
}

/** An image that its maker signed in the registry is verified by its friendly name; one that nobody signed is not. */
async function signatures(host: string, upstream: Upstream): Promise<Result[]> {
	const directory = await mkdtemp(join(tmpdir(), 'cosign-'));
	const cosign = (...args: string[]): ReturnType<typeof run> =>
		run(built('cosign'), args, { env: { COSIGN_PASSWORD: '', DOCKER_CONFIG: directory, HOME: directory }, seconds: 120 });
	let registry: Listener | undefined;
	try {
		const { repository, digest } = imageOf(upstream, BROWSER);
		registry = await startPushing(
			upstream.registryUrl,
			await mintToken(upstream, [{ type: 'repository', name: repository, actions: ['pull', 'push'] }]),
		);
		await cosign('generate-key-pair', '--output-key-prefix', join(directory, 'cosign'));
		// Nothing is told to the public log: there is no network.
		const signed = await cosign(
			'sign',
			'--key',
			join(directory, 'cosign.key'),
			'--new-bundle-format=false',
			'--use-signing-config=false',
			'--tlog-upload=false',
			'--yes',
			'--allow-http-registry',
			`${registry.host}/${repository}@${digest}`,
		);
		const verify = (reference: string): ReturnType<typeof run> =>
			cosign(
				'verify',
				'--key',
				join(directory, 'cosign.pub'),
				'--new-bundle-format=false',
				'--insecure-ignore-tlog',
				'--allow-http-registry',
				reference,
			);
		const good = await verify(`${host}/${BROWSER}`);
		const unsigned = await verify(`${host}/${BROWSER}/2.3.8`);
		const version = versionInSources('cosign');
		return [
			{
				client: 'cosign verify',
				version,
				name: 'a signed image',
				passed: signed.code === 0 && good.code === 0 && good.printed.includes(digest),
				printed: signed.code === 0 ? good.printed : signed.printed,
			},
			{
				client: 'cosign verify',
				version,
				name: 'an image that is not signed',
				passed: unsigned.code !== 0 && /no signatures found/.test(unsigned.printed),
				printed: unsigned.printed,
			},
		];
	} finally {
		registry?.close();
		await rm(directory, { recursive: true, force: true });
	}
}
