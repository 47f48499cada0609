import type { AddressInfo } from 'node:net';
import { buildApp } from '../src/app.ts';
import { parseConfig } from '../src/config.ts';
import { logDestination } from '../src/process/log-destination.ts';
import { createLogger } from '../src/process/logger.ts';
import { startUpstream } from '../test/upstream/index.ts';
import { pullImage } from './pull-image.ts';

/*
 * `npm run demo [-- --once]`: a balena API and a registry on this machine with a few sample fleets, the proxy in front of them,
 * and a pull through it that shows each step. Then it stays up, for a client of your own, unless `--once` is given.
 */

const PUBLIC = 'balenalabs/browser-aarch64/2.3.8';
const PRIVATE = 'acme/secret';
const BLOCK = 'acme/display';
const MISSING = 'balenalabs/browser-aarch64/2.3.9';

say('Starting a sample balena API and registry (a few seconds) …');
const upstream = await startUpstream({ registry: 'embedded' });
const config = parseConfig({
	PROXY_HOST: '127.0.0.1',
	PROXY_PORT: process.env['PROXY_PORT'] ?? '0',
	API_URL: upstream.apiUrl,
	REGISTRY_URL: upstream.registryUrl,
	LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'warn',
});
const app = await buildApp(config, { loggerInstance: createLogger(config, logDestination()) });
await app.listen({ host: config.PROXY_HOST, port: config.PROXY_PORT });
const host = `localhost:${(app.server.address() as AddressInfo).port}`;
say(`The proxy listens on http://${host}, in front of ${upstream.registryUrl}.`);

heading(`A public release: ${host}/${PUBLIC}`);
await pullImage(host, PUBLIC, undefined, say);

heading(`A release of a private fleet, with a key: ${host}/${PRIVATE}`);
await pullImage(host, PRIVATE, upstream.keys.owner, say);

for (const platform of ['linux/amd64', 'linux/arm64']) {
	heading(`A block, whose fleets are for one architecture each, for ${platform}: ${host}/${BLOCK}`);
	await pullImage(host, BLOCK, undefined, say, platform);
}

heading(`A release that is not there: ${host}/${MISSING}`);
await pullImage(host, MISSING, undefined, say).catch((error: Error) => say(`  What the terminal shows: ${error.message}`));

if (process.argv.includes('--once')) {
	await app.close();
	await upstream.close();
} else {
	heading('Now you');
	say(`  docker pull ${host}/balenalabs/browser-aarch64
  docker pull ${host}/${PUBLIC}
  docker pull --platform linux/arm64 ${host}/${BLOCK}
  skopeo list-tags --tls-verify=false docker://${host}/balenalabs/browser-aarch64
  docker login -u anyone -p ${upstream.keys.owner} ${host} && docker pull ${host}/${PRIVATE}
  The page for people: http://${host}/

Press Ctrl-C to end.`);
}

function heading(text: string): void {
	say(`\n${text}`);
}

function say(text: string): void {
	process.stdout.write(`${text}\n`);
}
