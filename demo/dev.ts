import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { startUpstream } from '../test/upstream/index.ts';

/*
 * `npm run dev`: the service in front of a sample API and registry, started anew whenever one of its files changes; the samples
 * stay. Settings by environment variables, as ever.
 */

const port = process.env['PROXY_PORT'] ?? '8080';
const upstream = await startUpstream({ registry: 'embedded' });
console.log(`Sample API ${upstream.apiUrl} and registry ${upstream.registryUrl}; the service will listen on http://localhost:${port}.
  docker pull localhost:${port}/balenalabs/browser-aarch64/2.3.8
  docker login -u anyone -p ${upstream.keys.owner} localhost:${port} && docker pull localhost:${port}/acme/secret
  http://localhost:${port}/   Ctrl-C ends it.`);

const service = spawn(process.execPath, ['--watch', 'src/server.ts'], {
	stdio: 'inherit',
	env: {
		PROXY_HOST: '127.0.0.1',
		LOG_LEVEL: 'debug',
		...process.env,
		PROXY_PORT: port,
		API_URL: upstream.apiUrl,
		REGISTRY_URL: upstream.registryUrl,
	},
});
// Ctrl-C reaches the service too, and this process ends after it.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => service.kill());
await once(service, 'exit');
await upstream.close();
