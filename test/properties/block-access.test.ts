import fc, { type Arbitrary } from 'fast-check';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { buildApp } from '../../src/app.ts';
import { ARCHITECTURES } from '../../src/balena/architectures.ts';
import { INDEX_TYPES, makeIndex, type Child } from '../../src/registry/platform-index.ts';
import { configOf } from '../support/constants.ts';
import { ACCEPT } from '../support/proxy.ts';
import { ask, forge, type Answer } from '../support/setup.ts';
import { digestOf } from '../upstream/image.ts';
import { base64url } from './arbitraries.ts';
import { check } from './check.ts';

/* No input makes two callers share an index, or a child outside the block reachable through it: docs/architectures.md. */

const [OCI] = INDEX_TYPES;
const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
const BLOCK = 'acme/b';

interface Content {
	repository: string;
	manifests: Map<string, { bytes: Buffer; mediaType: string }>;
	blobs: Map<string, Buffer>;
	latest: string;
}

/** Six repositories with an image each, of which two are an index of two. */
const POOL: Content[] = Array.from({ length: 6 }, (_, i) => {
	const content: Content = { repository: `v2/${String(i).repeat(32)}`, manifests: new Map(), blobs: new Map(), latest: '' };
	const add = (mediaType: string, value: object): { digest: string; size: number; mediaType: string } => {
		const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...value }));
		content.latest = digestOf(bytes);
		content.manifests.set(content.latest, { bytes, mediaType });
		return { digest: content.latest, size: bytes.length, mediaType };
	};
	const image = (name: string): ReturnType<typeof add> => {
		const [config, layer] = ['config', 'layer'].map((part) => {
			const bytes = Buffer.from(`${part} of ${name}`);
			content.blobs.set(digestOf(bytes), bytes);
			return { digest: digestOf(bytes), size: bytes.length };
		});
		return add(IMAGE, { config, layers: [layer] });
	};
	if (i < 2) {
		const manifests = ['amd64', 'riscv64'].map((architecture) => ({
			...image(`${i} ${architecture}`),
			platform: { os: 'linux', architecture },
		}));
		add(OCI, { manifests });
	} else {
		image(String(i));
	}
	return content;
});
const contentOf = (repository: string): Content => POOL.find((content) => content.repository === repository)!;
const MANIFESTS = POOL.flatMap(({ manifests }) => [...manifests.keys()]);
const BLOBS = POOL.flatMap(({ blobs }) => [...blobs.keys()]);

/** A registry that gives what is in a token's claims, and says no to the rest. */
function startRegistry(): Server {
	return createServer((request, response) => {
		const [, repository = '', kind, item = ''] = /^\/v2\/(v2\/\w+)\/(manifests|blobs)\/(.+)$/.exec(request.url ?? '') ?? [];
		const claims = /^Bearer [^.]+\.([^.]+)\./.exec(request.headers.authorization ?? '')?.[1] ?? '';
		const { access = [] } = JSON.parse(Buffer.from(claims, 'base64url').toString() || '{}') as { access?: { name: string }[] };
		response.setHeader('docker-distribution-api-version', 'registry/2.0');
		if (!access.some(({ name }) => name === repository)) {
			response.writeHead(401, { 'www-authenticate': 'Bearer realm="http://127.0.0.1:9/",service="registry"' }).end();
			return;
		}
		const { manifests, blobs, latest } = contentOf(repository);
		const digest = item === 'latest' ? latest : item;
		const manifest = manifests.get(digest);
		const bytes = kind === 'blobs' ? blobs.get(digest) : manifest?.bytes;
		if (bytes === undefined) {
			response.writeHead(404).end();
			return;
		}
		response
			.writeHead(200, {
				'docker-content-digest': digest,
				'content-length': bytes.length,
				'content-type': manifest?.mediaType ?? 'application/octet-stream',
			})
			.end(request.method === 'HEAD' ? undefined : bytes);
	});
}

let registry: Server;
let app: FastifyInstance;
let url: string;

before(async () => {
	registry = startRegistry().listen(0, '127.0.0.1');
	await once(registry, 'listening');
	app = await buildApp(
		configOf({
			API_URL: 'http://127.0.0.1:9',
			REGISTRY_URL: `http://127.0.0.1:${(registry.address() as AddressInfo).port}`,
			RATE_LIMIT_MAX: '0',
		}),
		{ logger: false },
	);
	await app.listen({ host: '127.0.0.1', port: 0 });
	url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
});

after(async () => {
	app.server.closeAllConnections();
	await app.close();
	registry.closeAllConnections();
	registry.close();
});

/** What a token says, and what the registry thinks of it. */
interface Holder {
	name: string;
	/** By architecture: a repository of the pool, and whether the token says which digest it has. */
	named: { architecture: string; repository: string; isTold: boolean }[];
	granted: string[];
}

const holder: Arbitrary<Holder> = fc.record({
	name: fc.constantFrom(BLOCK, `${BLOCK}/1.0.0`).map((name) => (name === BLOCK ? `${BLOCK}/0123456789abcdef` : name)),
	named: fc
		.uniqueArray(
			fc.record({
				architecture: fc.constantFrom(...ARCHITECTURES.map(({ name }) => name)),
				repository: fc.constantFrom(...POOL.map(({ repository }) => repository)),
				isTold: fc.boolean(),
			}),
			{ minLength: 1, maxLength: 5, selector: ({ architecture }) => architecture },
		)
		.map((named) => ARCHITECTURES.flatMap(({ name }) => named.filter(({ architecture }) => architecture === name))),
	granted: fc.subarray(POOL.map(({ repository }) => repository)),
});
const asked = fc.oneof(
	fc.constant(['manifests', 'latest'] as const),
	fc.tuple(fc.constant('manifests' as const), fc.constantFrom(...MANIFESTS)),
	fc.tuple(fc.constant('blobs' as const), fc.constantFrom(...BLOBS)),
);

let count = 0;
function tokenOf({ name, named, granted }: Holder): string {
	const access = granted.map((repository) => ({ type: 'repository', name: repository, actions: ['pull'] }));
	const claims = base64url(JSON.stringify({ access, exp: 4e9, jti: `${process.pid} ${count++}` }));
	const entries = named.map(({ architecture, repository, isTold }) => [
		architecture,
		[repository, '1.0.0', ...(isTold ? [contentOf(repository).latest] : [])],
	]);
	return forge(`e30.${claims}.x`, { n: { [name]: { block: Object.fromEntries(entries) as object } } });
}

/** What the registry gives to a token of what it names. */
function ownOf({ named, granted }: Holder): Holder['named'] {
	return named.filter(({ repository }) => granted.includes(repository));
}

function indexOf(of: Holder): string {
	const children = ownOf(of).map(({ architecture, repository }): Child => {
		const { manifests, latest } = contentOf(repository);
		return {
			platform: ARCHITECTURES.find(({ name }) => name === architecture)!.platform,
			manifest: { ...manifests.get(latest)!, digest: latest },
		};
	});
	return makeIndex(children, OCI).bytes.toString();
}

function get(of: Holder, token: string, kind: string, item: string): Promise<Answer> {
	return ask({ url }, `/v2/${of.name}/${kind}/${item}`, { token, headers: { accept: ACCEPT } });
}

describe('through the service', () => {
	check(
		'an index is of what the registry gives to that very token, whoever asked before; and by digest only that is reachable, and all of it',
		fc.asyncProperty(
			fc.tuple(holder, holder),
			fc.array(fc.tuple(fc.nat(1), asked), { minLength: 2, maxLength: 8 }),
			async (holders, questions) => {
				const tokens = holders.map(tokenOf);
				for (const [i, [kind, item]] of questions) {
					const of = holders[i]!;
					const answer = await get(of, tokens[i]!, kind, item);
					const own = ownOf(of).map(({ repository }) => contentOf(repository));
					if (item === 'latest') {
						assert.equal(answer.status, own.length === 0 ? 401 : 200, answer.text);
						if (answer.status === 200) {
							assert.equal(answer.text, indexOf(of));
							const pinned = await get(of, tokens[i]!, kind, digestOf(answer.text));
							assert.deepEqual([pinned.status, pinned.text], [200, answer.text]);
						}
						continue;
					}
					const isThere = own.some(({ manifests, blobs }) => (kind === 'blobs' ? blobs : manifests).has(item));
					assert.equal(answer.status === 200, isThere, `${answer.status} ${answer.text}`);
					if (isThere) {
						assert.equal(digestOf(answer.text), item);
					}
				}
			},
		),
		0.2,
	);
});
