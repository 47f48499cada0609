import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../support/run.ts';
import { BIN, GO, must } from './cache.ts';
import { installPackage, PACKAGES, type PackageName } from './packages.ts';

/** Debian's packages: the generation of clients that many people run. */
const DEBIAN = {
	dockerd: 'docker.io',
	containerd: 'containerd',
	runc: 'runc',
	podman: 'podman',
	buildah: 'buildah',
	skopeo: 'skopeo',
	nginx: 'nginx-light',
	'docker-registry': 'docker-registry',
	'docker-compose': 'docker-compose',
};

interface Source {
	binary: string;
	module: string;
	version: string;
	/** Package in the module, relative to its root. */
	path: string;
	/** A program of this project's own, where the module is a library. */
	main?: string;
	/** Build tags. */
	tags?: string;
}

/** Today's generation, from the Go module proxy. */
export const SOURCES: Source[] = [
	{ binary: 'crane', module: 'github.com/google/go-containerregistry', version: 'v0.22.1', path: './cmd/crane' },
	{ binary: 'oras', module: 'oras.land/oras', version: 'v1.3.6', path: './cmd/oras' },
	{ binary: 'regctl', module: 'github.com/regclient/regclient', version: 'v0.11.7', path: './cmd/regctl' },
	{ binary: 'containerd', module: 'github.com/containerd/containerd/v2', version: 'v2.4.2', path: './cmd/containerd' },
	{ binary: 'ctr', module: 'github.com/containerd/containerd/v2', version: 'v2.4.2', path: './cmd/ctr' },
	{
		binary: 'containerd-shim-runc-v2',
		module: 'github.com/containerd/containerd/v2',
		version: 'v2.4.2',
		path: './cmd/containerd-shim-runc-v2',
	},
	{ binary: 'buildctl', module: 'github.com/moby/buildkit', version: 'v0.34.2', path: './cmd/buildctl' },
	{ binary: 'buildkitd', module: 'github.com/moby/buildkit', version: 'v0.34.2', path: './cmd/buildkitd' },
	{ binary: 'dockerd', module: 'github.com/moby/moby/v2', version: 'v2.0.0-beta.24', path: './cmd/dockerd' },
	// No client: one of the hops that test/hops puts in front of the service.
	{ binary: 'caddy', module: 'github.com/caddyserver/caddy/v2', version: 'v2.11.9', path: './cmd/caddy' },
	// The registry of the balena cloud, behind the service: test/e2e/distribution.test.ts.
	{ binary: 'distribution', module: 'github.com/distribution/distribution/v3', version: 'v3.1.2', path: './cmd/registry' },
	{ binary: 'cosign', module: 'github.com/sigstore/cosign/v3', version: 'v3.1.3', path: './cmd/cosign' },
	{
		binary: 'containers-image',
		module: 'go.podman.io/image/v5',
		version: 'v5.42.0',
		path: '.',
		main: 'containers-image/main.go',
		tags: 'containers_image_openpgp,containers_image_storage_stub,containers_image_docker_daemon_stub',
	},
	{
		binary: 'conformance',
		module: 'github.com/opencontainers/distribution-spec/conformance',
		version: 'v0.0.0-20260831232431-97274622c111',
		path: '.',
	},
];

/** Clients that cannot be had from the registries that this runs with, and why: named in the table, never passed. */
export const NOT_RUN = [
	{
		client: 'podman, buildah, skopeo of today',
		why: 'the Go module proxy does not serve their modules; the library that they pull with is run',
	},
	{
		client: "Docker's command line 29",
		why: 'the Go module proxy does not serve a module that it is built from; Docker Engine 29 is run with the one that is on the machine',
	},
	{
		client: 'Docker Engine, whether it takes a private CA',
		why: 'it does not verify certificates of loopback addresses; TLS itself was tried',
	},
];

/**
 * Installs what is missing.
 *
 * @param wanted binaries and packages, by their names here
 * @returns those that could not be built or installed, and why
 * @throws where Debian's packages cannot be had
 */
export async function install(wanted: Set<string>): Promise<Map<string, string>> {
	const failed = new Map<string, string>();
	await installDebian(DEBIAN);
	await mkdir(BIN, { recursive: true });
	for (const name of wanted) {
		await (isPackage(name) ? installPackage(name) : installBinary(name)).catch((error: Error) => {
			console.log(error.message);
			failed.set(name, `${name} could not be installed: ${error.message.trim().split('\n').at(-1)}`);
		});
	}
	return failed;
}

/**
 * @param packages commands, each with the package that has it
 * @throws where they cannot be had
 */
export async function installDebian(packages: Record<string, string>): Promise<void> {
	const missing = (
		await Promise.all(
			Object.entries(packages).map(async ([command, name]) =>
				(await run('/bin/sh', ['-c', `command -v ${command}`])).code === 0 ? [] : [name],
			),
		)
	).flat();
	if (missing.length > 0) {
		console.log(`installing ${missing.join(' ')}`);
		await must('apt-get', ['update', '-qq']);
		await must('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], { DEBIAN_FRONTEND: 'noninteractive' });
	}
}

const isPackage = (name: string): name is PackageName => name in PACKAGES;

async function installBinary(binary: string): Promise<void> {
	const source = SOURCES.find((one) => one.binary === binary)!;
	if (!existsSync(place(source))) {
		console.log(`building ${source.binary} ${source.version}`);
		await build(source);
	}
}

/** @returns the path of a client that `install` built */
export function built(binary: string): string {
	return place(SOURCES.find((source) => source.binary === binary)!);
}

function place({ binary, version }: Source): string {
	return join(BIN, `${binary}-${version}`);
}

/** @returns the version in which a client is built here, for clients that do not tell it */
export function versionInSources(binary: string): string {
	return SOURCES.find((source) => source.binary === binary)!.version;
}

/** Builds in a copy of the module, as its own maintainers do: "go install" refuses modules with replacements of their own. */
async function build(source: Source): Promise<void> {
	const directory = await mkdtemp(join(tmpdir(), 'build-'));
	try {
		if (source.main === undefined) {
			await copyModule(source, directory);
		} else {
			await copyFile(new URL(source.main, import.meta.url), join(directory, 'main.go'));
			await must('go', ['-C', directory, 'mod', 'init', source.binary]);
			await must('go', ['-C', directory, 'get', `${source.module}@${source.version}`], GO);
		}
		await must(
			'nice',
			[
				'go',
				'-C',
				directory,
				'build',
				'-buildvcs=false',
				'-mod=mod',
				...(source.tags === undefined ? [] : ['-tags', source.tags]),
				'-o',
				place(source),
				source.path,
			],
			GO,
		);
	} finally {
		await rm(directory, { recursive: true, force: true });
	}
}

async function copyModule({ module, version }: Source, directory: string): Promise<void> {
	const { printed } = await must('go', ['mod', 'download', '-json', `${module}@${version}`]);
	await cp((JSON.parse(printed.slice(printed.indexOf('{'))) as { Dir: string }).Dir, directory, { recursive: true });
	await must('chmod', ['-R', 'u+w', directory]);
}
