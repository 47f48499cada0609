import { createRequire } from 'node:module';

/* Pulls an image with docker-progress on dockerode, as balena's supervisor does. See libraries.ts for what it is told, besides the engine's socket. Prints the image's name. */

const require = createRequire(`${process.env.PACKAGES}/`);
const { DockerProgress } = require('docker-progress') as any;
const Docker = require('dockerode') as any;
const { SOCKET, KEY, PLATFORM } = process.env;
const [name] = process.argv.slice(2);

const progress = new DockerProgress({ docker: new Docker({ socketPath: SOCKET }) });
try {
	await progress.pull(name, () => undefined, {
		...(KEY === undefined ? {} : { authconfig: { username: 'anyone', password: KEY, serveraddress: name!.split('/')[0] } }),
		...(PLATFORM === undefined ? {} : { platform: PLATFORM }),
	});
	console.log(name);
} catch (error) {
	console.error(String(error));
	process.exitCode = 1;
}
