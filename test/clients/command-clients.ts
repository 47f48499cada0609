import { mkdtemp, mkdir, copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, type Outcome } from '../support/run.ts';
import { versionOf, withImage, type Client, type Pull } from './client.ts';
import { built, versionInSources } from './install.ts';

/* Clients that are one command, without a daemon. */

const creds = ({ key }: Pull): string => `anyone:${key}`;

/** Runs with an empty directory that is gone afterwards. */
async function inDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
	const directory = await mkdtemp(join(tmpdir(), 'pull-'));
	try {
		return await use(directory);
	} finally {
		await rm(directory, { recursive: true, force: true });
	}
}

/** A directory as containers/image and Docker want it: the CA as `ca.crt`. */
async function certDir(directory: string, ca: string): Promise<string> {
	const path = join(directory, 'certs');
	await mkdir(path, { recursive: true });
	await copyFile(ca, join(path, 'ca.crt'));
	return path;
}

/** `auth.json` of Docker's form, for clients that read it. */
async function dockerConfig(directory: string, { host, key }: Pull): Promise<string> {
	const auths = key === undefined ? {} : { [host]: { auth: Buffer.from(`anyone:${key}`).toString('base64') } };
	await writeFile(join(directory, 'config.json'), JSON.stringify({ auths }));
	return directory;
}

/** skopeo, podman and buildah share containers/image, and its options. */
export async function skopeo(): Promise<Client> {
	return {
		name: 'skopeo',
		version: await versionOf('skopeo', '--version'),
		pull: (pull) =>
			inDirectory(async (directory) => {
				const [os, arch, variant] = pull.platform?.split('/') ?? [];
				const outcome = await run('skopeo', [
					...(os === undefined ? [] : ['--override-os', os, '--override-arch', arch!]),
					...(variant === undefined ? [] : ['--override-variant', variant]),
					'copy',
					...(pull.key === undefined ? ['--src-no-creds'] : ['--src-creds', creds(pull)]),
					...(pull.ca === undefined ? ['--src-tls-verify=false'] : ['--src-cert-dir', await certDir(directory, pull.ca)]),
					`docker://${pull.host}/${pull.reference}`,
					`dir:${directory}/image`,
				]);
				return withImage(outcome, () => readFile(`${directory}/image/manifest.json`, 'utf8'));
			}),
		hides: ['login with a wrong key'],
		login: (host, key, ca) => containersLogin('skopeo', host, key, ca),
	};
}

export async function podman(): Promise<Client> {
	return containersClient('podman', await versionOf('podman', '--version'));
}

export async function buildah(): Promise<Client> {
	return containersClient('buildah', await versionOf('buildah', '--version'));
}

function containersClient(command: 'podman' | 'buildah', version: string): Client {
	return {
		name: command,
		version,
		pull: (pull) =>
			inDirectory(async (directory) => {
				const outcome = await run(command, [
					...['--root', `${directory}/root`, '--runroot', `${directory}/run`, '--storage-driver', 'vfs'],
					'pull',
					...(pull.platform === undefined ? [] : ['--platform', pull.platform]),
					...(pull.key === undefined ? [] : ['--creds', creds(pull)]),
					...(pull.ca === undefined ? ['--tls-verify=false'] : ['--cert-dir', await certDir(directory, pull.ca)]),
					`${pull.host}/${pull.reference}`,
				]);
				// Its last line is the image's identity, which is the digest of its configuration.
				return withImage(outcome, async () => outcome.printed.trim().split('\n').at(-1)!);
			}),
		hides: ['login with a wrong key'],
		login: (host, key, ca) => containersLogin(command, host, key, ca),
	};
}

async function containersLogin(command: string, host: string, key: string, ca: string | undefined): Promise<Outcome> {
	return inDirectory(async (directory) =>
		run(command, [
			'login',
			'--authfile',
			`${directory}/auth.json`,
			'--username',
			'anyone',
			'--password',
			key,
			...(ca === undefined ? ['--tls-verify=false'] : ['--cert-dir', await certDir(directory, ca)]),
			host,
		]),
	);
}

export async function crane(): Promise<Client> {
	const command = built('crane');
	return {
		name: 'crane',
		version: await versionOf(command, 'version'),
		pull: (pull) =>
			inDirectory(async (directory) => {
				const outcome = await run(
					command,
					[
						'pull',
						...(pull.ca === undefined ? ['--insecure'] : []),
						...(pull.platform === undefined ? [] : ['--platform', pull.platform]),
						`${pull.host}/${pull.reference}`,
						`${directory}/image.tar`,
					],
					{
						env: { DOCKER_CONFIG: await dockerConfig(directory, pull), ...(pull.ca === undefined ? {} : { SSL_CERT_FILE: pull.ca }) },
					},
				);
				return withImage(outcome, async () => (await run('tar', ['-xOf', `${directory}/image.tar`, 'manifest.json'])).printed);
			}),
	};
}

export async function oras(): Promise<Client> {
	const command = built('oras');
	return {
		name: 'oras',
		version: await versionOf(command, 'version'),
		pull: (pull) =>
			inDirectory(async (directory) => {
				const outcome = await run(
					command,
					[
						'cp',
						...(pull.ca === undefined ? ['--from-plain-http'] : ['--from-plain-http=false', '--from-ca-file', pull.ca]),
						...(pull.key === undefined ? [] : ['--from-username', 'anyone', '--from-password', pull.key]),
						...(pull.platform === undefined ? [] : ['--platform', pull.platform]),
						'--to-oci-layout',
						`${pull.host}/${pull.reference}${/[:@][^/]*$/.test(pull.reference) ? '' : ':latest'}`,
						`${directory}/layout:x`,
					],
					{ env: { DOCKER_CONFIG: await dockerConfig(directory, { ...pull, key: undefined }) } },
				);
				return withImage(outcome, () => readFile(`${directory}/layout/index.json`, 'utf8'));
			}),
		login: (host, key, ca) =>
			inDirectory(async (directory) =>
				run(command, [
					'login',
					'--registry-config',
					`${directory}/config.json`,
					'--username',
					'anyone',
					'--password',
					key,
					...(ca === undefined ? ['--plain-http'] : ['--ca-file', ca]),
					host,
				]),
			),
	};
}

export async function regctl(): Promise<Client> {
	const command = built('regctl');
	return {
		name: 'regctl',
		version: versionInSources('regctl'),
		pull: (pull) =>
			inDirectory(async (directory) => {
				const env = { REGCTL_CONFIG: `${directory}/regctl.json`, DOCKER_CONFIG: await dockerConfig(directory, pull) };
				const tls = pull.ca === undefined ? ['--tls', 'disabled'] : ['--cacert', await readFile(pull.ca, 'utf8')];
				const set = await run(command, ['registry', 'set', pull.host, ...tls, '--skip-check'], { env });
				if (set.code !== 0) {
					return set;
				}
				const outcome = await run(
					command,
					[
						'image',
						'copy',
						...(pull.platform === undefined ? [] : ['--platform', pull.platform]),
						`${pull.host}/${pull.reference}`,
						`ocidir://${directory}/image:x`,
					],
					{ env },
				);
				return withImage(outcome, () => readFile(`${directory}/image/index.json`, 'utf8'));
			}),
		resumes: true,
	};
}

/** The library of today's podman, buildah, skopeo and CRI-O, called by containers-image/main.go. */
export async function containersImage(): Promise<Client> {
	const command = built('containers-image');
	const envOf = async (directory: string, { key, ca, platform }: Partial<Pull>): Promise<Record<string, string>> => ({
		...(key === undefined ? {} : { KEY: key }),
		...(ca === undefined ? {} : { CERT_DIR: await certDir(directory, ca) }),
		...(platform === undefined ? {} : { PLATFORM: platform }),
	});
	return {
		name: 'containers/image',
		version: versionInSources('containers-image'),
		resumes: true,
		pull: (pull) =>
			inDirectory(async (directory) => {
				await mkdir(`${directory}/image`);
				const outcome = await run(command, ['pull', `${pull.host}/${pull.reference}`, `${directory}/image`], {
					env: await envOf(directory, pull),
				});
				return withImage(outcome, () => readFile(`${directory}/image/manifest.json`, 'utf8'));
			}),
		login: (host, key, ca) => inDirectory(async (directory) => run(command, ['login', host], { env: await envOf(directory, { key, ca }) })),
	};
}
