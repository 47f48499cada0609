import { spawnSync } from 'node:child_process';
import {
	chmodSync,
	copyFileSync,
	cpSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	realpathSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** Stand-ins for the Dockerfile's two base images. */
export interface LocalBases {
	node: string;
	runtime: string;
}

/** What the build stage's shell lines call. */
const BUILD_TOOLS = ['cp', 'sh', 'env', 'find', 'rm', 'chmod', 'test'];
/** Loaded by the C library itself when it resolves names, so that no binary lists them. */
const NAME_SERVICE = ['libnss_files.so.2', 'libnss_dns.so.2', 'libresolv.so.2'];
/** What Node needs and distroless/cc has not: the Dockerfile has to bring it. */
const NOT_IN_RUNTIME = /libatomic/;
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';
const USERS = 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n';

/**
 * Makes the base images out of this machine's own files, so that the Dockerfile can be built where no image registry can be reached: a C library and
 * certificates as in distroless/cc, and, for the build stage, a shell, Node and npm besides.
 *
 * @param tag under which they are stored, in this machine's container storage
 * @throws where buildah fails
 */
export function makeLocalBases(tag: string): LocalBases {
	const directory = mkdtempSync(join(tmpdir(), 'base-images-'));
	try {
		const runtime = join(directory, 'runtime');
		layOut(runtime, []);
		const build = join(directory, 'build');
		layOut(
			build,
			BUILD_TOOLS.map((tool) => `/usr/bin/${tool}`),
		);
		copyFileSync(process.execPath, join(build, 'usr/local/bin/node'));
		cpSync(npmDirectory(), join(build, 'usr/local/lib/node_modules/npm'), { recursive: true });
		symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(build, 'usr/local/bin/npm'));
		return { runtime: store(runtime, `localhost/${tag}-runtime`), node: store(build, `localhost/${tag}-node`) };
	} finally {
		rmSync(directory, { recursive: true });
	}
}

/** A root file system with the given programs, Node's libraries, users and certificates. */
function layOut(root: string, programs: string[]): void {
	for (const path of ['usr/bin', 'usr/lib', 'usr/lib64', 'usr/local/bin', 'usr/local/lib/node_modules', 'etc/ssl/certs', 'root', 'tmp']) {
		mkdirSync(join(root, path), { recursive: true });
	}
	chmodSync(join(root, 'tmp'), 0o1777);
	for (const name of ['bin', 'lib', 'lib64']) {
		symlinkSync(`usr/${name}`, join(root, name));
	}
	for (const program of programs) {
		copyFileSync(program, join(root, 'usr/bin', basename(program)));
	}
	for (const library of new Set([...programs, process.execPath].flatMap(librariesOf))) {
		if (programs.length > 0 || !NOT_IN_RUNTIME.test(library)) {
			copyTo(root, library);
		}
	}
	const libraries = dirname(librariesOf(process.execPath).find((path) => path.includes('libc.so'))!);
	for (const path of NAME_SERVICE.map((name) => join(libraries, name)).filter(existsSync)) {
		copyTo(root, path);
	}
	if (existsSync(CERTIFICATES)) {
		copyTo(root, CERTIFICATES);
	}
	writeFileSync(join(root, 'etc/passwd'), USERS);
	writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnonroot:x:65532:\n');
	writeFileSync(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
}

/** @returns the paths of the shared libraries that a program needs, the loader included */
function librariesOf(program: string): string[] {
	return (
		run('ldd', [program])
			.match(/\/\S+/g)
			?.filter((path) => !path.endsWith(':')) ?? []
	);
}

function copyTo(root: string, path: string): void {
	const target = join(root, path);
	mkdirSync(dirname(target), { recursive: true });
	copyFileSync(realpathSync(path), target);
}

function npmDirectory(): string {
	// Not npm's own word for it, which goes by the Node that runs it: the one that the tests bring has none beside it.
	return dirname(dirname(realpathSync(run('sh', ['-c', 'command -v npm']).trim())));
}

function store(root: string, name: string): string {
	writeFileSync(`${root}.dockerfile`, 'FROM scratch\nCOPY . /\n');
	run('buildah', ['bud', '--quiet', '--isolation', 'chroot', '--tag', name, '--file', `${root}.dockerfile`, root]);
	return name;
}

/** Runs a command to its end. @returns what it printed. @throws with its error output where it fails */
export function run(command: string, args: string[], options: { env?: NodeJS.ProcessEnv } = {}): string {
	const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26, ...options });
	if (status !== 0) {
		throw new Error(`${command} ${args.slice(0, 3).join(' ')} failed: ${error?.message ?? stderr.slice(-2000)}`);
	}
	return stdout;
}
