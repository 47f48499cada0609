import { createRequire } from 'node:module';

/*
 * Builds FROM an image with @balena/compose, as balena's CLI and builders do, with registry secrets. See libraries.ts for what it is told, besides the engine's
 * socket. Prints the name of what it built, which has nothing of its own.
 */

const require = createRequire(`${process.env.PACKAGES}/`);
const { multibuild } = require('@balena/compose') as any;
const Docker = require('dockerode') as any;
const tar = require('tar-stream') as any;
const { SOCKET, KEY, PLATFORM } = process.env;
const [name] = process.argv.slice(2);
const BUILT = 'built-from-it';
/** balena's names, of which the library makes the platform. */
const ARCHITECTURES: Record<string, string> = { 'linux/arm64': 'aarch64', 'linux/arm/v7': 'armv7hf' };

const pack = tar.pack();
pack.entry({ name: 'Dockerfile' }, `FROM ${name}\n`);
if (KEY !== undefined) {
	const secrets = { [name!.split('/')[0]!]: { username: 'anyone', password: KEY } };
	pack.entry({ name: '.balena/registry-secrets.json' }, JSON.stringify(secrets));
}
pack.finalize();
try {
	const tasks = await multibuild.splitBuildStream({ services: { main: { build: { context: '.' } } }, networks: {}, volumes: {} }, pack);
	const architecture = ARCHITECTURES[PLATFORM ?? ''] ?? 'amd64';
	for (const task of multibuild.performResolution(tasks, architecture, 'generic', {
		error: [(error: Error) => console.error(String(error))],
	})) {
		task.tag = BUILT;
		// An index is asked for by its platform, and any other image as it is.
		task.streamHook = (stream: NodeJS.ReadableStream) => stream.on('data', (chunk) => process.stderr.write(String(chunk)));
	}
	const [image] = await multibuild.performBuilds(tasks, new Docker({ socketPath: SOCKET }), '/tmp');
	if (!image.successful) {
		throw image.error;
	}
	console.log(BUILT);
} catch (error) {
	console.error(String(error));
	process.exitCode = 1;
}
