import { cp, copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BIN, GO, must } from './cache.ts';
import { kubernetes } from './kubernetes.ts';

/* Clients that are packages of npm, PyPI, crates.io or Maven Central. None is a dependency of the project: each has a directory of its own beside the clients that are built from Go. */

interface Package {
	version: string;
	/** What is compiled with it, below libraries/. */
	source?: string;
	/** Fills an empty directory. */
	install(directory: string, version: string): Promise<void>;
}

const here = (path: string): string => fileURLToPath(new URL(`libraries/${path}`, import.meta.url));

/** @param specs packages with their versions */
const npm =
	(specs: (version: string) => string[], overrides: Record<string, string> = {}) =>
	async (directory: string, version: string): Promise<void> => {
		await writeFile(join(directory, 'package.json'), JSON.stringify({ private: true, overrides }));
		await must('npm', [
			'install',
			'--prefix',
			directory,
			// What is needed is in the packages; scripts would fetch more, from hosts that are not there.
			'--ignore-scripts',
			'--no-audit',
			'--no-fund',
			'--loglevel=error',
			...specs(version),
		]);
	};

/** Node of the generation that the balena CLI and Renovate run on, as a package of npm. */
const NODE_24 = `node-linux-${process.arch}@24.21.0`;

/** @returns the path of Node 24, where it was installed with a package */
export function node24(name: PackageName): string {
	return join(directoryOf(name), 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
}

async function balenaCli(directory: string, version: string): Promise<void> {
	// Neither is on npm as the CLI asks for it, and `build` uses neither.
	await npm((own) => [`balena-cli@${own}`, NODE_24], { 'balena-preload': '18.0.5', 'unbzip2-stream': '1.4.3' })(directory, version);
	// Its parser of compose files is a Go program.
	const parser = join(directory, 'node_modules', '@balena', 'compose-parser');
	await must('nice', ['go', 'build', '-C', join(parser, 'lib'), '-o', join(parser, 'bin', 'balena-compose-parser')], GO);
}

const pip =
	(name: string) =>
	async (directory: string, version: string): Promise<void> => {
		await must('python3', ['-m', 'pip', 'install', '--quiet', '--target', directory, `${name}==${version}`]);
	};

async function cargo(directory: string, version: string): Promise<void> {
	const build = `${directory}.build`;
	await mkdir(join(build, 'src'), { recursive: true });
	try {
		await copyFile(here('oci-client/main.rs'), join(build, 'src', 'main.rs'));
		await writeFile(join(build, 'Cargo.toml'), (await readFile(here('oci-client/Cargo.toml'), 'utf8')).replace('VERSION', version));
		await must('nice', ['cargo', 'build', '--quiet', '--manifest-path', join(build, 'Cargo.toml')]);
		await copyFile(join(build, 'target', 'debug', 'oci-client-pull'), join(directory, 'oci-client-pull'));
	} finally {
		await rm(build, { recursive: true, force: true });
	}
}

async function maven(directory: string, version: string): Promise<void> {
	await cp(here('jib'), directory, { recursive: true });
	await must('mvn', [
		'--quiet',
		'--batch-mode',
		'--file',
		join(directory, 'pom.xml'),
		'dependency:copy-dependencies',
		`-DoutputDirectory=${directory}`,
		`-Djib.version=${version}`,
	]);
	await must('javac', ['-cp', `${directory}/*`, '-d', directory, join(directory, 'Pull.java')]);
}

/** Installed together, because one is called with another. */
export const BALENA_LIBRARIES = { 'docker-progress': '5.4.19', dockerode: '5.0.1', '@balena/compose': '8.0.5' };

export const PACKAGES = {
	'oci-client': { version: '0.18.0', install: cargo, source: 'oci-client/main.rs' },
	'python-dxf': { version: '12.1.1', install: pip('python-dxf') },
	'oras of Python': { version: '0.2.43', install: pip('oras') },
	'oci-registry-client': { version: '0.2.0', install: npm((version) => [`oci-registry-client@${version}`]) },
	'balena libraries': {
		version: BALENA_LIBRARIES['@balena/compose'],
		install: npm(() => Object.entries(BALENA_LIBRARIES).map((spec) => spec.join('@'))),
	},
	'balena CLI': { version: '25.2.6', install: balenaCli },
	Renovate: { version: '44.121.2', install: npm((version) => [`renovate@${version}`, NODE_24]) },
	/** A job of its own: kubelet.ts. */
	Kubernetes: { version: '1.37.2', install: kubernetes },
	Jib: { version: '0.28.1', install: maven, source: 'jib/Pull.java' },
} satisfies Record<string, Package>;

export type PackageName = keyof typeof PACKAGES;

/** @returns the directory of a package that was installed, another one where its source has changed */
export function directoryOf(name: PackageName): string {
	const { version, source }: Package = PACKAGES[name];
	const hash =
		source === undefined
			? ''
			: `-${createHash('sha256')
					.update(readFileSync(here(source)))
					.digest('hex')
					.slice(0, 8)}`;
	return join(BIN, `${name.toLowerCase().replaceAll(' ', '-')}-${version}${hash}`);
}

/** Installs a package where it is missing: whole, or not at all. @throws where it cannot be had */
export async function installPackage(name: PackageName): Promise<void> {
	const directory = directoryOf(name);
	if (existsSync(directory)) {
		return;
	}
	const { version, install } = PACKAGES[name];
	console.log(`installing ${name} ${version}`);
	const half = `${directory}.half`;
	await rm(half, { recursive: true, force: true });
	await mkdir(half, { recursive: true });
	await install(half, version);
	await rename(half, directory);
}
