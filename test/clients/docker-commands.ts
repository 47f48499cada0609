import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEngine } from '../support/engine.ts';
import { run } from '../support/run.ts';
import { imageOf } from '../upstream/index.ts';
import { versionOf, type Client } from './client.ts';
import type { Result } from './report.ts';
import type { Servers } from './servers.ts';

/* What Docker's command line does itself, beside the engine: manifests, and Compose. */

const SECONDS = 120;

/** `docker manifest inspect`, which asks the registry without an engine, for manifests only. */
export async function manifestInspect(): Promise<Client> {
	return {
		name: 'docker manifest inspect',
		version: await versionOf('docker', '--version'),
		noPlatform: true,
		noBlobs: true,
		async pull({ host, reference, key, ca }) {
			const directory = await mkdtemp(join(tmpdir(), 'inspect-'));
			try {
				const auths = key === undefined ? {} : { [host]: { auth: Buffer.from(`anyone:${key}`).toString('base64') } };
				await writeFile(join(directory, 'config.json'), JSON.stringify({ auths }));
				const outcome = await run(
					'docker',
					['manifest', 'inspect', '--verbose', ...(ca === undefined ? ['--insecure'] : []), `${host}/${reference}`],
					{ env: { DOCKER_CONFIG: directory, ...(ca === undefined ? {} : { SSL_CERT_FILE: ca }) } },
				);
				return outcome.code === 0 ? { ...outcome, image: outcome.stdout } : outcome;
			} finally {
				await rm(directory, { recursive: true, force: true });
			}
		},
	};
}

/** Compose on an engine of its own. */
interface Compose {
	/** Runs it on a project of these services. */
	compose(services: Record<string, object>, ...args: string[]): ReturnType<typeof run>;
	docker: Awaited<ReturnType<typeof startEngine>>['docker'];
	login: Awaited<ReturnType<typeof startEngine>>['login'];
	directory: string;
	stop(): Promise<void>;
}

async function startCompose(): Promise<Compose> {
	const engine = await startEngine();
	const file = join(engine.directory, 'compose.json');
	return {
		...engine,
		async compose(services, ...args) {
			// JSON is YAML.
			await writeFile(file, JSON.stringify({ version: '2.4', services }));
			return await run('docker-compose', ['--file', file, '--project-name', 'sample', ...args], {
				env: { DOCKER_HOST: `unix://${engine.directory}/docker.sock`, DOCKER_CONFIG: `${engine.directory}/config` },
				seconds: SECONDS,
			});
		},
	};
}

export async function compose(): Promise<Client> {
	const { compose: call, docker, login, directory, stop } = await startCompose();
	return {
		name: 'docker-compose',
		version: await versionOf('docker-compose', '--version'),
		resumes: true,
		async pull({ host, reference, key, platform }) {
			await docker('logout', host);
			if (key !== undefined) {
				const outcome = await login(host, key);
				if (outcome.code !== 0) {
					return outcome;
				}
			}
			await docker('system', 'prune', '--all', '--force');
			const image = `${host}/${reference}`;
			const outcome = await call({ main: { image, ...(platform === undefined ? {} : { platform }) } }, 'pull', '--quiet');
			if (outcome.code !== 0) {
				return outcome;
			}
			const saved = join(directory, 'image.tar');
			await rm(saved, { force: true });
			await docker('save', '--output', saved, image);
			return { ...outcome, image: (await run('tar', ['-tf', saved])).printed };
		},
		stop,
	};
}

/** `docker-compose config --resolve-image-digests`: names with digests, each of which is pulled afterwards. */
export async function resolvedDigests({ plain, upstream }: Servers): Promise<Result[]> {
	const { compose: call, docker, login, stop } = await startCompose();
	const version = await versionOf('docker-compose', '--version');
	try {
		await login(plain, upstream.keys.owner);
		const images = {
			bare: ['balenalabs/browser-aarch64', imageOf(upstream, 'balenalabs/browser-aarch64').digest],
			release: ['balenalabs/browser-aarch64/2.3.8', imageOf(upstream, 'balenalabs/browser-aarch64', '2.3.8+rev2').digest],
			index: ['acme/multi-arch', imageOf(upstream, 'acme/multi-arch').digest],
			private: ['acme/secret', imageOf(upstream, 'acme/secret').digest],
		} as const;
		const services = Object.fromEntries(Object.entries(images).map(([name, [image]]) => [name, { image: `${plain}/${image}` }]));
		// It asks for digests of what the engine has.
		await call(services, 'pull', '--quiet');
		const resolved = await call(services, 'config', '--resolve-image-digests');
		const names = Object.values(images).map(([image, digest]) => `${plain}/${image}@${digest}`);
		const missing = names.filter((name) => !resolved.stdout.includes(name));
		await docker('system', 'prune', '--all', '--force');
		const pulled = await Promise.all(names.map((name) => docker('pull', '--quiet', name)));
		return [
			{
				client: 'docker-compose config --resolve-image-digests',
				version,
				name: 'four names',
				passed: resolved.code === 0 && missing.length === 0,
				reason: missing.length === 0 ? undefined : `without ${missing.join(', ')}`,
				printed: resolved.printed,
			},
			{
				client: 'docker-compose config --resolve-image-digests',
				version,
				name: 'what it wrote is pulled',
				passed: pulled.every(({ code }) => code === 0),
				printed: pulled.map(({ printed }) => printed).join(''),
			},
		];
	} finally {
		await stop();
	}
}
