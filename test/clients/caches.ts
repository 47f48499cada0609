import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistryProcess, type RegistryProcess } from '../upstream/registry-process.ts';
import type { Client } from './client.ts';
import { dockerClassic } from './daemon-clients.ts';

/*
 * Registries as pull-through caches between Docker and the service. A cache has one login, its own, for whoever asks; and what the service says of a refusal ends
 * in the cache's log.
 */

/** What can be told apart behind a cache: pulls, and that what is not there is not there. */
const CASES = new Set([
	'public, by slug',
	'by version',
	'by version with v',
	'by commit',
	'a draft',
	'tag ignored',
	'pinned by digest',
	'one of several services',
	'index, linux/amd64',
	'index, linux/arm64',
	'a layer of 100 MB',
	'blobs behind a 307',
	'private behind a 307',
	'private, with a key',
	'no such release',
	'several services',
]);

/**
 * @param program the registry
 * @param version undefined where it is to tell it
 * @param key the cache's login at the service
 */
export async function throughCache(name: string, program: string, version: string, key: string): Promise<Client> {
	const directory = await mkdtemp(join(tmpdir(), 'cache-'));
	const docker = await dockerClassic();
	const caches = new Map<string, RegistryProcess>();
	const cacheOf = async (host: string): Promise<RegistryProcess> => {
		const running = caches.get(host) ?? (await startCache(directory, caches.size, program, `http://${host}`, key));
		caches.set(host, running);
		return running;
	};
	return {
		name,
		version: `${version}, ${docker.version}`,
		tries: (one) => CASES.has(one),
		hides: ['no such release', 'several services'],
		async pull(pull) {
			const { port } = await cacheOf(pull.host);
			return await docker.pull({ ...pull, host: `127.0.0.1:${port}`, key: undefined });
		},
		async stop() {
			await Promise.all([...caches.values()].map((cache) => cache.close()));
			await docker.stop?.();
			await rm(directory, { recursive: true, force: true });
		},
	};
}

async function startCache(directory: string, number: number, program: string, remoteurl: string, key: string): Promise<RegistryProcess> {
	return await startRegistryProcess({
		program,
		configFile: join(directory, `cache-${number}.yml`),
		configuration: (port) => ({
			version: 0.1,
			log: { level: 'error', accesslog: { disabled: true } },
			storage: { filesystem: { rootdirectory: join(directory, `storage-${number}`) } },
			http: { addr: `127.0.0.1:${port}`, secret: 'sample' },
			proxy: { remoteurl, username: 'anyone', password: key },
		}),
	});
}
