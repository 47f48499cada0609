import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { Writable } from 'node:stream';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { buildApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config.ts';

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
 * @param env further settings, by their environment variables
 */
export async function startProxy(
	t: TestContext,
	upstream: { apiUrl: string; registryUrl: string },
	env: Record<string, string> = {},
): Promise<Proxy> {
	const log: string[] = [];
	const config = parseConfig({
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
	t.after(() => app.close());
	await app.listen({ host: config.PROXY_HOST, port: config.PROXY_PORT });
	const host = `127.0.0.1:${(app.server.address() as AddressInfo).port}`;
	return { url: `http://${host}`, host, app, log };
}

/** @returns an `Authorization` header of HTTP Basic */
export function basic(key: string, user = 'u'): string {
	return `Basic ${Buffer.from(`${user}:${key}`).toString('base64')}`;
}

/** Asks the proxy for a token as Docker does. @returns the whole answer, parsed */
export async function requestToken(
	proxy: Pick<Proxy, 'url'>,
	names: string[],
	authorization?: string,
): Promise<{ status: number; body: any; headers: Headers }> {
	const query = new URLSearchParams(names.map((name): [string, string] => ['scope', `repository:${name}:pull`]));
	const response = await fetch(`${proxy.url}/auth/v1/token?${query}`, { headers: authorization === undefined ? {} : { authorization } });
	return { status: response.status, body: await response.json(), headers: response.headers };
}

export interface PullAnswer {
	status: number;
	reason: string;
	headers: Headers;
	text: string;
}

/** What Docker says that it accepts. */
export const ACCEPT = [
	'application/vnd.docker.distribution.manifest.v2+json',
	'application/vnd.docker.distribution.manifest.list.v2+json',
	'application/vnd.oci.image.index.v1+json',
	'application/vnd.oci.image.manifest.v1+json',
].join(', ');

/** One request below `/v2/` with a token for the name in it. `path` is what follows `/v2/<name>/`. */
export async function pull(
	proxy: Pick<Proxy, 'url'>,
	name: string,
	path: string,
	options: { authorization?: string; method?: string; headers?: Record<string, string>; token?: string } = {},
): Promise<PullAnswer> {
	const token = options.token ?? (await requestToken(proxy, [name], options.authorization)).body.token;
	const response = await fetch(`${proxy.url}/v2/${name}/${path}`, {
		method: options.method ?? 'GET',
		redirect: 'manual',
		headers: { accept: ACCEPT, authorization: `Bearer ${token}`, ...options.headers },
	});
	return { status: response.status, reason: response.statusText, headers: response.headers, text: await response.text() };
}
