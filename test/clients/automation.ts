import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../support/run.ts';
import { balenaCli } from './balena-clients.ts';
import { imageOf } from '../upstream/index.ts';
import { isImage } from './cases.ts';
import { versionOf } from './client.ts';
import { directoryOf, node24, PACKAGES } from './packages.ts';
import type { Result } from './report.ts';
import type { Servers } from './servers.ts';

/* Programs that list a fleet's versions, and act on what is listed. */

const BROWSER = 'balenalabs/browser-aarch64';
const SECONDS = 120;

async function inDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
	const directory = await mkdtemp(join(tmpdir(), 'automation-'));
	try {
		return await use(directory);
	} finally {
		await rm(directory, { recursive: true, force: true });
	}
}

/** `skopeo sync` of a whole fleet: every version that is listed has to be the image that the version's own name gives. */
export async function skopeoSync({ plain, upstream }: Servers): Promise<Result[]> {
	const client = 'skopeo sync';
	const version = await versionOf('skopeo', '--version');
	const sync = async (name: string, fleet: string, key?: string): Promise<Result> =>
		inDirectory(async (directory) => {
			const credentials = key === undefined ? ['--src-no-creds'] : ['--src-creds', `anyone:${key}`];
			const { code, printed } = await run(
				'skopeo',
				['sync', '--src', 'docker', '--dest', 'dir', '--src-tls-verify=false', ...credentials, `${plain}/${fleet}`, directory],
				{ seconds: SECONDS },
			);
			const copies = (await readdir(directory)).map((copy) => [copy, copy.split(':')[1] ?? ''] as const);
			const wrong: string[] = [];
			for (const [copy, tag] of copies) {
				const digest = createHash('sha256')
					.update(await readFile(join(directory, copy, 'manifest.json')))
					.digest('hex');
				const named = await run('skopeo', [
					...['inspect', '--raw', '--tls-verify=false', ...credentials.map((option) => option.replace('--src-', '--'))],
					`docker://${plain}/${fleet}/${tag}`,
				]);
				if (createHash('sha256').update(named.stdout).digest('hex') !== digest) {
					wrong.push(`${tag} is sha256:${digest}`);
				}
			}
			return {
				client,
				version,
				name,
				passed: code === 0 && copies.length > 1 && wrong.length === 0,
				reason: wrong.length > 0 ? wrong.join(', ') : copies.length > 1 ? undefined : `${copies.length} versions came`,
				printed,
			};
		});
	return [
		await sync('a fleet, digest by digest', BROWSER),
		await sync('a private fleet, digest by digest', 'acme/secret', upstream.keys.owner),
	];
}

/** The block of JSON in a section of the docs. */
async function configurationInDocs(heading: string): Promise<string> {
	const text = await readFile(new URL('../../docs/pulling.md', import.meta.url), 'utf8');
	return /```json\n([\s\S]*?)```/.exec(text.slice(text.indexOf(`## ${heading}`)))![1]!;
}

/** Renovate's look-ups: tags by its own manager for Dockerfiles, and releases in paths as docs/pulling.md says. */
export async function renovate({ ownTls, ca, upstream }: Servers): Promise<Result[]> {
	return inDirectory(async (directory) => {
		const project = join(directory, 'project');
		await mkdir(project);
		await writeFile(join(project, 'Dockerfile'), `FROM ${ownTls}/${BROWSER}:2.3.8\n`);
		await writeFile(
			join(project, 'docker-compose.yml'),
			`services:\n  public:\n    image: ${ownTls}/${BROWSER}/2.3.8\n  private:\n    image: ${ownTls}/acme/secret/1.0.0\n`,
		);
		await writeFile(join(project, 'renovate.json'), (await configurationInDocs('Renovate')).replace('HOST', ownTls));
		await run('git', ['-C', project, 'init', '--quiet']);
		await run('git', ['-C', project, 'add', '--all']);
		const report = join(directory, 'report.json');
		const { printed } = await run(
			'/bin/sh',
			[
				'-c',
				'cd "$0" && exec "$@"',
				project,
				node24('Renovate'),
				join(directoryOf('Renovate'), 'node_modules/renovate/dist/renovate.js'),
			].concat(['--platform=local', '--dry-run=lookup', '--report-type=file', `--report-path=${report}`]),
			{
				env: {
					HOME: directory,
					NODE_EXTRA_CA_CERTS: ca,
					RENOVATE_BASE_DIR: join(directory, 'base'),
					RENOVATE_CONFIG: JSON.stringify({
						enabledManagers: ['dockerfile', 'custom.regex'],
						hostRules: [{ hostType: 'docker', matchHost: `https://${ownTls}`, username: 'anyone', password: upstream.keys.owner }],
					}),
				},
				seconds: SECONDS,
			},
		);
		const found = await readFile(report, 'utf8').then(updatesIn, () => ({}) as Record<string, string>);
		return [
			['tags, by its manager for Dockerfiles', `dockerfile ${BROWSER} 2.3.8`, '2.4.0'],
			['releases in paths, by the regex manager of the docs', `regex ${BROWSER} 2.3.8`, '2.4.0'],
			['a private fleet, by the regex manager', 'regex acme/secret 1.0.0', '1.1.0'],
		].map(([name, dependency, newest]) => ({
			client: 'Renovate',
			version: PACKAGES.Renovate.version,
			name: name!,
			passed: found[dependency!] === newest,
			reason: found[dependency!] === newest ? undefined : `it found ${JSON.stringify(found)}`,
			printed,
			output: printed,
		}));
	});
}

/** @returns manager, fleet and version of what is used, each with the version that it offers */
function updatesIn(report: string): Record<string, string> {
	const { packageFiles } = (JSON.parse(report) as any).repositories.local;
	return Object.fromEntries(
		Object.entries<any>(packageFiles).flatMap(([manager, files]) =>
			files.flatMap(({ deps }: any) =>
				deps.map(({ lookupName, currentValue, updates }: any) => [`${manager} ${lookupName} ${currentValue}`, updates[0]?.newValue]),
			),
		),
	);
}

/** `balena build` with the registry's secrets in the home directory, where it looks for them unasked. */
export async function secretsAtHome({ plain, upstream }: Servers): Promise<Result[]> {
	const results: Result[] = [];
	for (const kind of ['image:, secrets as JSON', 'FROM, secrets as YAML'] as const) {
		const client = await balenaCli(kind, true);
		try {
			const { code, printed, image = '' } = await client.pull({ host: plain, reference: 'acme/secret', key: upstream.keys.owner });
			results.push({
				client: 'balena CLI, home directory',
				version: client.version,
				name: kind,
				passed: code === 0 && isImage(image, imageOf(upstream, 'acme/secret')),
				printed,
				output: printed,
			});
		} finally {
			await client.stop?.();
		}
	}
	return results;
}
