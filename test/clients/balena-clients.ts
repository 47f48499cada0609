import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startEngine, type Engine } from '../support/engine.ts';
import { run } from '../support/run.ts';
import type { Client, Pull } from './client.ts';
import { BALENA_LIBRARIES, directoryOf, node24, PACKAGES } from './packages.ts';

/* What balena's supervisor, CLI and builders pull and build with: libraries, on a Docker Engine. */

const SECONDS = 120;

/** @param program in libraries/: prints the name of the image that it has made the engine have */
async function onEngine(name: keyof typeof BALENA_LIBRARIES, program: string): Promise<Client> {
	const engine = await startEngine();
	return {
		name,
		version: BALENA_LIBRARIES[name],
		resumes: true,
		async pull({ host, reference, key, platform }) {
			await engine.docker('system', 'prune', '--all', '--force');
			const outcome = await run(
				process.execPath,
				[fileURLToPath(new URL(`libraries/${program}`, import.meta.url)), `${host}/${reference}`],
				{
					env: {
						PACKAGES: directoryOf('balena libraries'),
						SOCKET: `${engine.directory}/docker.sock`,
						...(key === undefined ? {} : { KEY: key }),
						...(platform === undefined ? {} : { PLATFORM: platform }),
					},
					seconds: SECONDS,
				},
			);
			if (outcome.code !== 0) {
				return outcome;
			}
			return { ...outcome, image: await digestsIn(engine, outcome.stdout.trim()) };
		},
		stop: engine.stop,
	};
}

/** @returns the names of the files that an image is saved as, which are its digests */
async function digestsIn(engine: Engine, image: string): Promise<string> {
	const saved = `${engine.directory}/image.tar`;
	await rm(saved, { force: true });
	await engine.docker('save', '--output', saved, image);
	return (await run('tar', ['-tf', saved])).printed;
}

export const dockerProgress = (): Promise<Client> => onEngine('docker-progress', 'docker-progress.ts');

export const balenaCompose = (): Promise<Client> => onEngine('@balena/compose', 'balena-compose.ts');

/** How a project names the image that it is made of, and the file in which the CLI is told its registry's credentials. */
const PROJECTS = {
	'image:, secrets as JSON': {
		dockerfile: false,
		secrets: '.json',
		write: (host: string, key: string) => JSON.stringify({ [host]: { username: 'anyone', password: key } }),
	},
	'FROM, secrets as YAML': {
		dockerfile: true,
		secrets: '.yml',
		write: (host: string, key: string) => `'${host}':\n  username: anyone\n  password: ${key}\n`,
	},
};

/**
 * `balena build` on an engine of its own. It has no option for a platform but the architecture of a device, and takes amd64 from any index
 * (balena-io/balena-cli#3095).
 */
export async function balenaCli(kind: keyof typeof PROJECTS, secretsAtHome = false): Promise<Client> {
	const { dockerfile, secrets, write } = PROJECTS[kind];
	const engine = await startEngine();
	const [project, home] = [`${engine.directory}/project`, `${engine.directory}/home`];
	await mkdir(project);
	await mkdir(`${home}/.balena`, { recursive: true });
	return {
		name: `balena CLI, ${kind}`,
		version: PACKAGES['balena CLI'].version,
		resumes: true,
		noPlatform: true,
		async pull({ host, reference, key }: Pull) {
			await engine.docker('system', 'prune', '--all', '--force');
			const image = `${host}/${reference}`;
			await writeFile(`${project}/Dockerfile`, `FROM ${image}\n`);
			await writeFile(
				`${project}/docker-compose.yml`,
				`version: '2.1'\nservices:\n  main:\n    ${dockerfile ? 'build: .' : `image: '${image}'`}\n`,
			);
			const file = secretsAtHome ? `${home}/.balena/secrets${secrets}` : `${engine.directory}/secrets${secrets}`;
			await rm(file, { force: true });
			if (key !== undefined) {
				await writeFile(file, write(host, key));
			}
			const outcome = await run(
				node24('balena CLI'),
				[
					join(directoryOf('balena CLI'), 'node_modules', 'balena-cli', 'bin', 'run.js'),
					...['build', project, '--arch', 'amd64', '--deviceType', 'generic-amd64', '--docker', `${engine.directory}/docker.sock`],
					...(key === undefined || secretsAtHome ? [] : ['--registry-secrets', file]),
				],
				// Nobody is there whom it could tell of its use, or ask about fleets.
				{ env: { HOME: home, BALENARC_NO_ANALYTICS: '1', BALENARC_NO_SENTRY: '1', BALENARC_BALENA_URL: 'localhost:1' }, seconds: SECONDS },
			);
			return outcome.code === 0 ? { ...outcome, image: await digestsIn(engine, dockerfile ? 'project_main' : image) } : outcome;
		},
		stop: engine.stop,
	};
}
