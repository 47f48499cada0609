import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { mintToken } from './control.ts';
import { DOCKER_REGISTRY_NEEDS, imageOf, startUpstream, type RunningUpstream, type Upstream } from './index.ts';
import { sharedUpstream } from './shared.ts';
import { needs } from './tools.ts';

/*
 * What is known of the real upstream's registry, asked of both of the stand-in's; and the embedded one compared with docker-registry.
 */

const run = promisify(execFile);

const ABSENT = `sha256:${'0'.repeat(64)}`;
const MEDIA_TYPES = [
	'application/vnd.docker.distribution.manifest.v2+json',
	'application/vnd.docker.distribution.manifest.list.v2+json',
	'application/vnd.oci.image.manifest.v1+json',
	'application/vnd.oci.image.index.v1+json',
].join(', ');

interface Asked {
	method?: string;
	path: (upstream: Upstream) => string;
	/** What is sent as authorization: a token for the image or for another one, something else, or a token that is no good. */
	token?: keyof typeof AUTHORIZATION;
	headers?: Record<string, string>;
}

interface Answered {
	status: number;
	headers: Record<string, string>;
	body: string;
}

const single = (upstream: Upstream): ReturnType<typeof imageOf> => imageOf(upstream, 'balenalabs/browser-aarch64', '2.3.8+rev2');
const manifest = (reference: string) => (upstream: Upstream) => `/v2/${single(upstream).repository}/manifests/${reference}`;
const blob = (upstream: Upstream): string => `/v2/${single(upstream).repository}/blobs/${single(upstream).platforms[0]!.layers[0]!.digest}`;

const AUTHORIZATION = {
	good: async (upstream: Upstream) => `Bearer ${await tokenFor(upstream, single(upstream).repository)}`,
	other: async (upstream: Upstream) => `Bearer ${await tokenFor(upstream, imageOf(upstream, 'acme/several', '1.1.0', 'db').repository)}`,
	garbage: async () => 'Bearer nonsense',
	basic: async () => 'Basic eDp5',
	expired: async (upstream: Upstream) => `Bearer ${await mintToken(upstream, pullOf(upstream), { lifetime: -120 })}`,
	foreign: async (upstream: Upstream) => `Bearer ${await mintToken(upstream, pullOf(upstream), { audience: 'other.example' })}`,
};

const pullOf = (upstream: Upstream) => [{ type: 'repository', name: single(upstream).repository, actions: ['pull'] }];

async function tokenFor(upstream: Upstream, repository: string): Promise<string> {
	const response = await fetch(`${upstream.apiUrl}/auth/v1/token?scope=repository:${repository}:pull`);
	return ((await response.json()) as { token: string }).token;
}

/** Status, the headers that say something, and the body, with the address of this run's API taken out. */
async function ask(upstream: Upstream, { method = 'GET', path, token, headers = {} }: Asked): Promise<Answered> {
	const response = await fetch(`${upstream.registryUrl}${path(upstream)}`, {
		method,
		headers: { accept: MEDIA_TYPES, ...headers, ...(token === undefined ? {} : { authorization: await AUTHORIZATION[token](upstream) }) },
	});
	const compared = Object.fromEntries(
		[...response.headers].filter(([name]) => !['date', 'connection', 'keep-alive', 'x-content-type-options'].includes(name)),
	);
	const body = Buffer.from(await response.arrayBuffer()).toString('latin1');
	const text = JSON.stringify({ status: response.status, headers: compared, body }).replaceAll(upstream.apiUrl, '<api>');
	// docker-registry names several actions in any order.
	return JSON.parse(text.replaceAll(':push,pull', ':pull,push')) as Answered;
}

const CHALLENGE = 'Bearer realm="<api>/auth/v1/token",service="registry2.balena.example"';

/** The last column, where it is there: status, and what follows realm and service in the challenge, or the code of the error. */
const REQUESTS: [string, Asked, [status: number, challenge?: string | ((upstream: Upstream) => string), code?: string]][] = [
	['/v2/ without a token', { path: () => '/v2/' }, [401, '', 'UNAUTHORIZED']],
	['/v2/ with Basic credentials', { path: () => '/v2/', token: 'basic' }, [401, '', 'UNAUTHORIZED']],
	['/v2/ with a token for anything', { path: () => '/v2/', token: 'other' }, [200]],
	['/v2/ with garbage', { path: () => '/v2/', token: 'garbage' }, [401, ',error="invalid_token"', 'UNAUTHORIZED']],
	[
		'manifest without a token',
		{ path: manifest('latest') },
		[401, (upstream) => `,scope="repository:${single(upstream).repository}:pull"`, 'UNAUTHORIZED'],
	],
	[
		'HEAD manifest without a token',
		{ path: manifest('latest'), method: 'HEAD' },
		[401, (upstream) => `,scope="repository:${single(upstream).repository}:pull"`],
	],
	[
		'manifest with another image’s token',
		{ path: manifest('latest'), token: 'other' },
		[401, (upstream) => `,scope="repository:${single(upstream).repository}:pull",error="insufficient_scope"`],
	],
	[
		'manifest with garbage',
		{ path: manifest('latest'), token: 'garbage' },
		[401, (upstream) => `,scope="repository:${single(upstream).repository}:pull",error="invalid_token"`],
	],
	[
		'manifest with an expired token',
		{ path: manifest('latest'), token: 'expired' },
		[401, (upstream) => `,scope="repository:${single(upstream).repository}:pull",error="invalid_token"`],
	],
	[
		'manifest with a token for another registry',
		{ path: manifest('latest'), token: 'foreign' },
		[401, (upstream) => `,scope="repository:${single(upstream).repository}:pull",error="invalid_token"`],
	],
	['manifest by tag', { path: manifest('latest'), token: 'good' }, [200]],
	['HEAD manifest by tag', { path: manifest('latest'), token: 'good', method: 'HEAD' }, [200]],
	['manifest by digest', { path: (upstream) => manifest(single(upstream).digest)(upstream), token: 'good' }, [200]],
	['unknown tag', { path: manifest('1.0.0'), token: 'good' }, [404, undefined, 'MANIFEST_UNKNOWN']],
	['HEAD unknown tag', { path: manifest('1.0.0'), token: 'good', method: 'HEAD' }, [404]],
	['unknown manifest digest', { path: manifest(ABSENT), token: 'good' }, [404, undefined, 'MANIFEST_UNKNOWN']],
	[
		'a slug in place of the repository',
		{ path: () => '/v2/balenalabs/browser-aarch64/manifests/latest', token: 'good' },
		[401, ',scope="repository:balenalabs/browser-aarch64:pull",error="insufficient_scope"'],
	],
	[
		'pushing with a pull token',
		{ path: manifest('latest'), token: 'good', method: 'PUT' },
		[401, (upstream) => `,scope="repository:${single(upstream).repository}:pull,push",error="insufficient_scope"`],
	],
	[
		'deleting with a pull token',
		{ path: manifest('latest'), token: 'good', method: 'DELETE' },
		[401, (upstream) => `,scope="repository:${single(upstream).repository}:delete",error="insufficient_scope"`],
	],
	['blob without a token', { path: blob }, [401, (upstream) => `,scope="repository:${single(upstream).repository}:pull"`]],
	['blob', { path: blob, token: 'good' }, [200]],
	['HEAD blob', { path: blob, token: 'good', method: 'HEAD' }, [200]],
	['beginning of a blob', { path: blob, token: 'good', headers: { range: 'bytes=0-9' } }, [206]],
	['rest of a blob', { path: blob, token: 'good', headers: { range: 'bytes=90000-' } }, [206]],
	['end of a blob', { path: blob, token: 'good', headers: { range: 'bytes=-10' } }, [206]],
	[
		'unknown blob',
		{ path: (upstream) => `/v2/${single(upstream).repository}/blobs/${ABSENT}`, token: 'good' },
		[404, undefined, 'BLOB_UNKNOWN'],
	],
	['tags', { path: (upstream) => `/v2/${single(upstream).repository}/tags/list`, token: 'good' }, [200]],
	[
		'referrers, of which distribution 2 knows nothing',
		{ path: (upstream) => `/v2/${single(upstream).repository}/referrers/${single(upstream).digest}`, token: 'good' },
		[404],
	],
	['referrers without a token', { path: (upstream) => `/v2/${single(upstream).repository}/referrers/${single(upstream).digest}` }, [404]],
	['a path that is no endpoint', { path: () => '/v2/UPPER/manifests/latest', token: 'good' }, [404]],
];

function check(upstream: Upstream, answered: Answered, [status, challenge, code]: (typeof REQUESTS)[number][2]): void {
	const expected = typeof challenge === 'function' ? challenge(upstream) : challenge;
	assert.equal(answered.status, status);
	assert.equal(answered.headers['www-authenticate'], expected === undefined ? undefined : CHALLENGE + expected);
	assert.equal(answered.headers['docker-distribution-api-version'], 'registry/2.0');
	if (code !== undefined) {
		assert.equal((JSON.parse(answered.body) as { errors: { code: string }[] }).errors[0]?.code, code);
	}
}

let embedded: RunningUpstream;
before(async () => void (embedded = await startUpstream()));
after(() => embedded.close());

describe('the embedded registry', () => {
	for (const [name, asked, expected] of REQUESTS) {
		test(name, async () => check(embedded, await ask(embedded, asked), expected));
	}

	test('a range beyond a blob', async () => {
		const { status, headers } = await ask(embedded, { path: blob, token: 'good', method: 'HEAD', headers: { range: 'bytes=100000000-' } });
		assert.deepEqual([status, headers['content-range']], [416, `bytes */${single(embedded).platforms[0]!.layers[0]!.size}`]);
	});

	describe('answers as docker-registry does', needs(...DOCKER_REGISTRY_NEEDS), () => {
		for (const [name, asked, expected] of REQUESTS) {
			test(name, async () => {
				const real = await sharedUpstream();
				const answered = await ask(real, asked);
				check(real, answered, expected);
				assert.deepEqual(await ask(embedded, asked), answered);
			});
		}
	});
});

describe('skopeo takes images from both', needs('skopeo', ...DOCKER_REGISTRY_NEEDS), () => {
	let directory: string;
	before(async () => void (directory = await mkdtemp(join(tmpdir(), 'skopeo-'))));
	after(() => rm(directory, { recursive: true, force: true }));
	const upstreams: Record<string, () => Promise<Upstream>> = { 'docker-registry': sharedUpstream, embedded: async () => embedded };

	for (const [name, upstreamOf] of Object.entries(upstreams)) {
		const url = async (slug: string): Promise<string> => {
			const upstream = await upstreamOf();
			return `docker://${upstream.registryUrl.replace('http://', '')}/${imageOf(upstream, slug).repository}:latest`;
		};

		test(`inspect, public, ${name}`, async () => {
			const { stdout } = await run('skopeo', ['inspect', '--tls-verify=false', await url('acme/pinned')]);
			assert.equal((JSON.parse(stdout) as { Digest: string }).Digest, imageOf(await upstreamOf(), 'acme/pinned').digest);
		});
		test(`inspect, private, with a key, ${name}`, async () => {
			const { keys } = await upstreamOf();
			const { stdout } = await run('skopeo', ['inspect', '--tls-verify=false', `--creds=x:${keys.owner}`, await url('acme/secret')]);
			assert.equal((JSON.parse(stdout) as { Digest: string }).Digest, imageOf(await upstreamOf(), 'acme/secret').digest);
			await assert.rejects(
				run('skopeo', ['inspect', '--tls-verify=false', `--creds=x:${keys.stranger}`, await url('acme/secret')]),
				/authentication required|unauthorized/,
			);
		});
		test(`copy of a multi-arch index, whole, ${name}`, async () => {
			const target = join(directory, name);
			await run('skopeo', ['copy', '--all', '--src-tls-verify=false', await url('acme/multi-arch'), `dir:${target}`]);
			const { platforms } = imageOf(await upstreamOf(), 'acme/multi-arch');
			const index = JSON.parse(await readFile(join(target, 'manifest.json'), 'utf8')) as { manifests: { digest: string }[] };
			assert.deepEqual(
				index.manifests.map(({ digest }) => digest),
				platforms.map(({ digest }) => digest),
			);
		});
	}
});
