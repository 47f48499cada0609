import { hash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { ARCHITECTURES } from '../../src/balena/architectures.ts';
import { httpAnswer, startBrokenServer, type BrokenServer } from '../support/broken-server.ts';
import { startProcess, type ServiceProcess } from '../support/process.ts';
import { ACCEPT } from '../support/proxy.ts';
import { ask, type Answer } from '../support/setup.ts';
import { startRelay, type Relay } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Names that stand for images of several fleets, in tokens that say so: whose map is not signed, so that anybody's names, repositories and architectures may be in it. The real process at its default settings. */

const upstream = await sharedUpstream();
export const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
export const ARCHS = ARCHITECTURES.map(({ name }) => name);
/** As many as one token may have. */
export const NAMES = 16;
export const NOWHERE = `sha256:${'0'.repeat(64)}`;
/** What is accepted is so until the token ends. */
export const UNSIGNED = `e30.${Buffer.from(JSON.stringify({ exp: 4_000_000_000 })).toString('base64url')}`;
export const REFUSAL = httpAnswer('401 Unauthorized', {
	'WWW-Authenticate': 'Bearer realm="x",service="registry.example",error="insufficient_scope"',
});

export type BlockEntry = Record<string, [repository: string, version: string, digest?: string]>;

export const repositoryOf = (i: number): string => `v2/${String(i).padStart(32, '0')}`;
export const nameOf = (i: number): string => `acme/forged-${i}`;

/** As much as a token can be made to mean: all its names are blocks, each of a repository for every architecture. */
export const MANY = Object.fromEntries(
	Array.from({ length: NAMES }, (_, i): [string, { block: BlockEntry }] => [
		nameOf(i),
		{ block: Object.fromEntries(ARCHS.map((arch, n) => [arch, [repositoryOf(i * ARCHS.length + n), '1.0.0']])) },
	]),
);

/** An answer of the registry with a manifest. */
export const manifestAnswer = (mediaType: string, body: string): Buffer =>
	httpAnswer('200 OK', { 'Content-Type': mediaType, 'Docker-Content-Digest': `sha256:${hash('sha256', body)}` }, body);

/** An image of layers; its config is no layer's business. */
export const imageManifest = (...layers: string[]): string =>
	JSON.stringify({ schemaVersion: 2, mediaType: IMAGE, layers: layers.map((digest) => ({ mediaType: 'x', size: 1, digest })) });

/** The token in the head of a request. */
export const tokenOf = (head: string): string => /^authorization: Bearer (.*)$/im.exec(head)?.[1] ?? '';

/** Starts the service before a registry that answers as it is told, with a relay before the API. */
export async function startBefore(
	t: TestContext,
	answer: (socket: Socket, head: string) => void,
	env: Record<string, string> = {},
): Promise<{ service: ServiceProcess; registry: BrokenServer; api: Relay }> {
	const registry = await startBrokenServer(t, answer);
	const api = await startRelay(upstream.apiUrl);
	t.after(() => api.close());
	const service = await startProcess(t, { apiUrl: api.url, registryUrl: registry.url }, { TRUST_PROXY: 'loopback', ...env });
	return { service, registry, api };
}

/** Asks for what is below a name, accepting what Docker does. */
export const get = (service: ServiceProcess, name: string, path: string, token: string, method = 'GET'): Promise<Answer> =>
	ask(service, `/v2/${name}/${path}`, { method, token, headers: { accept: ACCEPT } });
