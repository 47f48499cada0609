import { join } from 'node:path';
import { builtService } from './built-service.ts';
import { startNginx } from './nginx.ts';
import { run, waitForAnswer, type Running } from './processes.ts';
import type { Upstream } from './upstream.ts';
import { freePort } from '../test/upstream/listen.ts';

/** One of the proxies that are compared. */
export interface Target extends Running {
	name: string;
	url: string;
	/** The image's name in paths at this target. */
	image: string;
	/** What requests for manifests and blobs carry. */
	token: string;
}

export const SERVICE = 'this service';
export const FORWARDING = 'this service, caches off';
export const UNBOUNDED = 'without bounds';
export const NGINX = 'nginx, reverse proxy';
export const STATIC = 'nginx, static file';
export const EXPRESS = 'Express proxy';
export const BARE = 'bare Node';

const ROOT = join(import.meta.dirname, '..');
const CACHES_OFF = { MANIFEST_CACHE_BYTES: '0', REDIRECT_TTL: '0', AUTHORIZATION_TTL: '0', TOKEN_TTL: '0', RESOLUTION_TTL: '0' };

/**
 * How this service is started for all measurements: as the container image does, with a limit that is counted but never met. Its
 * log goes to /dev/null.
 */
export function spawnService(upstream: Upstream, port: number, env: Record<string, string> = {}, script = builtService()): Running {
	return run(process.execPath, [script], {
		NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/compile-cache'),
		PROXY_HOST: '127.0.0.1',
		PROXY_PORT: String(port),
		REGISTRY_URL: upstream.url,
		API_URL: upstream.url,
		RATE_LIMIT_MAX: '50000000',
		...env,
	});
}

export function spawnExpress(upstream: Upstream, port: number): Running {
	return run(process.execPath, [join(import.meta.dirname, 'express/server.ts')], {
		NODE_ENV: 'production',
		PORT: String(port),
		API_URL: upstream.url,
		REGISTRY_URL: upstream.url,
	});
}

export async function startService(upstream: Upstream, env: Record<string, string> = {}): Promise<Target> {
	return serviceTarget(SERVICE, upstream, env);
}

/** The same with nothing remembered, so that each request is forwarded. */
export async function startForwardingService(upstream: Upstream, env: Record<string, string> = {}): Promise<Target> {
	return serviceTarget(FORWARDING, upstream, { ...CACHES_OFF, ...env });
}

/** This service, remembering or not, with and without counts and shares: both from the sources, where these can be replaced. */
export async function startBoundsPair(upstream: Upstream, isForwarding: boolean): Promise<Target[]> {
	const sources = join(ROOT, 'src/server.ts');
	const env = isForwarding ? CACHES_OFF : {};
	const preload = `--import ${join(import.meta.dirname, 'without-bounds.ts')}`;
	return [
		await serviceTarget(isForwarding ? FORWARDING : SERVICE, upstream, env, sources),
		await serviceTarget(
			UNBOUNDED,
			upstream,
			{ RATE_LIMIT_MAX: '0', NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} ${preload}`.trim(), ...env },
			sources,
		),
	];
}

async function serviceTarget(name: string, upstream: Upstream, env: Record<string, string>, script?: string): Promise<Target> {
	const port = await freePort();
	const running = spawnService(upstream, port, env, script);
	const url = `http://127.0.0.1:${port}`;
	await waitForAnswer(`${url}/ping`);
	const image = upstream.content.name;
	return { ...running, name, url, image, token: await anonymousToken(url, image) };
}

export async function startNginxProxy(upstream: Upstream, directory: string): Promise<Target> {
	const port = await freePort();
	const url = `http://127.0.0.1:${port}`;
	const running = await startNginx(
		directory,
		`
	upstream registry {
		server ${new URL(upstream.url).host};
		keepalive 64;
		keepalive_requests 10000000;
	}
	server {
		listen 127.0.0.1:${port} backlog=4096;
		location / {
			proxy_pass http://registry;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $host;
		}
	}`,
		`${url}/ping`,
	);
	return { ...running, name: NGINX, url, image: upstream.content.repository, token: upstream.content.token };
}

/** The upstream itself, as a measure for answers that need no other. */
export function staticTarget(upstream: Upstream): Target {
	return {
		name: STATIC,
		url: upstream.url,
		pid: upstream.pid,
		image: upstream.content.repository,
		token: upstream.content.token,
		stop: async () => {},
	};
}

export async function startExpress(upstream: Upstream): Promise<Target> {
	const port = await freePort();
	const running = spawnExpress(upstream, port);
	const url = `http://127.0.0.1:${port}`;
	await waitForAnswer(`${url}/ping`);
	return { ...running, name: EXPRESS, url, image: upstream.content.name, token: upstream.content.token };
}

export function tokenPath(image: string): string {
	return `/auth/v1/token?service=registry&scope=${encodeURIComponent(`repository:${image}:pull`)}`;
}

/** @param remembers whether it answers from memory what it has passed on once */
export async function startBareNode(upstream: Upstream, remembers: boolean): Promise<Target> {
	const port = await freePort();
	const running = run(process.execPath, [join(import.meta.dirname, 'bare/server.ts')], {
		PORT: String(port),
		REGISTRY_URL: upstream.url,
		REMEMBERS: remembers ? '1' : '0',
	});
	const url = `http://127.0.0.1:${port}`;
	await waitForAnswer(`${url}/ping`);
	return { ...running, name: BARE, url, image: upstream.content.repository, token: upstream.content.token };
}

export async function anonymousToken(url: string, image: string): Promise<string> {
	const response = await fetch(url + tokenPath(image));
	const text = await response.text();
	const { token } = JSON.parse(text) as { token?: string };
	if (token === undefined) {
		throw new Error(`no token from ${url}: ${response.status} ${text}`);
	}
	return token;
}
