import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { Writable } from 'node:stream';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { buildApp } from '../../src/app.ts';
import { configOf } from './constants.ts';

export interface Proxy {
	/** Origin of the service, such as `http://127.0.0.1:40123`. */
	url: string;
	/** The same without the scheme: what stands before the name in `docker pull`. */
	host: string;
	app: FastifyInstance;
	/** Every log line so far, as text. */
	log: string[];
}

/**
 * Starts the service on a free port, and stops it when the test ends.
 *
 * @param upstream where the API and the registry are: the stand-in's, or relays before them
 * @param env further settings by their environment variables, and constants by their names
 */
export async function startProxy(
	t: TestContext,
	upstream: { apiUrl: string; registryUrl: string },
	env: Record<string, string> = {},
): Promise<Proxy> {
	const log: string[] = [];
	const config = configOf({
		PROXY_HOST: '127.0.0.1',
		PROXY_PORT: '0',
		API_URL: upstream.apiUrl,
		REGISTRY_URL: upstream.registryUrl,
		...env,
	});
	const stream = new Writable({
		write(chunk: Buffer, _encoding, done) {
			log.push(chunk.toString());
			done();
		},
	});
	const app = await buildApp(config, { loggerInstance: pino({ level: 'debug' }, stream) });
	t.after(async () => {
		// A test that failed may have left requests behind, for which a close would wait as long as the longest of its timeouts.
		app.server.closeAllConnections();
		await app.close();
	});
	await app.listen({ host: config.PROXY_HOST, port: config.PROXY_PORT });
	const host = `127.0.0.1:${(app.server.address() as AddressInfo).port}`;
	return { url: `http://${host}`, host, app, log };
}

/** @returns an `Authorization` header of HTTP Basic */
export function basic(key: string, user = 'u'): string {
	return `Basic ${Buffer.from(`${user}:${key}`).toString('base64')}`;
}

/** What Docker says that it accepts. */
export const ACCEPT = [
	'application/vnd.docker.distribution.manifest.v2+json',
	'application/vnd.docker.distribution.manifest.list.v2+json',
	'application/vnd.oci.image.index.v1+json',
	'application/vnd.oci.image.manifest.v1+json',
].join(', ');
