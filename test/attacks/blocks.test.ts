import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ARCHITECTURES } from '../../src/balena/architectures.ts';
import { httpAnswer, startBrokenServer, type BrokenServer } from '../support/broken-server.ts';
import { flood } from '../support/flood.ts';
import { NO_PROC, processorSecondsOf, rssOf } from '../support/proc.ts';
import { startProcess, type ServiceProcess } from '../support/process.ts';
import { ACCEPT, basic } from '../support/proxy.ts';
import { ask, forge, grantsOf, seen, tokenFor, upstreamPart, type Answer } from '../support/setup.ts';
import { until } from '../support/until.ts';
import { imageOf } from '../upstream/index.ts';
import { startRelay, type Relay } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Names that stand for images of several fleets, in tokens that say so: whose map is not signed, so that anybody's names, repositories and architectures may be in it. The real process at its default settings. */

const upstream = await sharedUpstream();
const MB = 1024 * 1024;
const INDEX = 'application/vnd.oci.image.index.v1+json';
const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
const ARCHS = ARCHITECTURES.map(({ name }) => name);
/** As many as one token may have. */
const NAMES = 16;
const NOWHERE = `sha256:${'0'.repeat(64)}`;
/** What is accepted is so until the token ends. */
const UNSIGNED = `e30.${Buffer.from(JSON.stringify({ exp: 4_000_000_000 })).toString('base64url')}`;
const REFUSAL = httpAnswer('401 Unauthorized', {
	'WWW-Authenticate': 'Bearer realm="x",service="registry.example",error="insufficient_scope"',
});
const PONG = httpAnswer('200 OK', { 'Docker-Distribution-Api-Version': 'registry/2.0', 'Content-Type': 'application/json' }, '{}');

type BlockEntry = Record<string, [repository: string, version: string, digest?: string]>;

const repositoryOf = (i: number): string => `v2/${String(i).padStart(32, '0')}`;
const nameOf = (i: number): string => `acme/forged-${i}`;

/** As much as a token can be made to mean: all its names are blocks, each of a repository for every architecture. */
const MANY = Object.fromEntries(
	Array.from({ length: NAMES }, (_, i): [string, { block: BlockEntry }] => [
		nameOf(i),
		{ block: Object.fromEntries(ARCHS.map((arch, n) => [arch, [repositoryOf(i * ARCHS.length + n), '1.0.0']])) },
	]),
);

/** How many requests `flood` has under way, each with a token of its own, so that none of them joins another. */
const AT_ONCE = 32;
const manyTokens = (signature: string): string[] =>
	Array.from({ length: AT_ONCE }, (_, i) => `Bearer ${forge(`${UNSIGNED}.${signature.replaceAll('.', '-')}-${i}`, { n: MANY })}`);

const manifestAnswer = (mediaType: string, body: string): Buffer =>
	httpAnswer('200 OK', { 'Content-Type': mediaType, 'Docker-Content-Digest': `sha256:${hash('sha256', body)}` }, body);

/** An image of layers; its config is no layer's business. */
const imageManifest = (...layers: string[]): string =>
	JSON.stringify({ schemaVersion: 2, mediaType: IMAGE, layers: layers.map((digest) => ({ mediaType: 'x', size: 1, digest })) });

const tokenOf = (head: string): string => /^authorization: Bearer (.*)$/im.exec(head)?.[1] ?? '';

async function startBefore(
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

const get = (service: ServiceProcess, name: string, path: string, token: string, method = 'GET'): Promise<Answer> =>
	ask(service, `/v2/${name}/${path}`, { method, token, headers: { accept: ACCEPT } });

test(
	'1,400 requests for forged blocks of five images are no 7,000 at the registry, and none at the API',
	{ timeout: 120_000 },
	async (t) => {
		const { service, registry, api } = await startBefore(t, (socket, head) =>
			socket.write(head.startsWith('GET /v2/ ') && tokenOf(head) !== '' ? PONG : REFUSAL),
		);
		const paths = ['manifests/latest', `manifests/${NOWHERE}`, `blobs/${NOWHERE}`, `manifests/${NOWHERE.replace(':', '-')}`];
		const rows: Record<string, { from: string; isGenuine: boolean }> = {
			'that nobody has issued': { from: '192.0.2.1', isGenuine: false },
			'that the registry has accepted, at the price of content': { from: '192.0.2.2', isGenuine: true },
		};
		for (const [what, { from, isGenuine }] of Object.entries(rows)) {
			await t.test(`with tokens ${what}`, async () => {
				const tokens = manyTokens(from);
				if (isGenuine) {
					const pings = await flood(service, AT_ONCE, (i) => ({ path: '/v2/', headers: { authorization: tokens[i]! }, from }));
					assert.deepEqual(pings, { 200: AT_ONCE });
				}
				registry.heads.length = 0;
				api.requests = [];
				const startedAt = Date.now();
				const statuses = await flood(service, 1400, (i) => ({
					path: `/v2/${nameOf(i % NAMES)}/${paths[i % paths.length]!}`,
					headers: { authorization: tokens[i % AT_ONCE]!, accept: ACCEPT },
					from,
				}));
				const minutes = Math.ceil((Date.now() - startedAt + 1) / 60_000);
				// Without what the process asks for itself: whether the registry is there, and its name for challenges.
				const asked = registry.heads.filter((head) => !head.startsWith('GET /v2/ '));
				assert.ok(asked.length <= 6000 * minutes, `${asked.length}`);
				assert.ok((statuses[401] ?? 0) >= 1100, JSON.stringify(statuses));
				assert.deepEqual(
					seen(api).filter((url) => !url.endsWith('/ping')),
					[],
				);
			});
		}
		const other = {
			path: `/v2/${nameOf(0)}/manifests/latest`,
			headers: { authorization: `Bearer ${forge(`${UNSIGNED}.x`, { n: MANY })}` },
		};
		assert.deepEqual(await flood(service, 1, () => ({ ...other, from: '192.0.2.3' })), { 401: 1 }, 'others have their own');
	},
);

test(
	'80 forged images that are indexes of 4 MB, five in each request: a container’s 256 MB, and no time at all',
	{ timeout: 200_000, skip: NO_PROC },
	async (t) => {
		const SIZE = 4 * MB - 1000;
		const tail = Buffer.from(`${'{},'.repeat(Math.floor(SIZE / 3) - 40)}{}]}`);
		const startOf = (repository: string): string => `{"schemaVersion":2,"x":"${repository}","manifests":[`;
		const heads = new Map<string, string>();
		const { service } = await startBefore(
			t,
			(socket, head) => {
				const [, repository] = /^\w+ \/v2\/(v2\/\d+)\/manifests\//.exec(head) ?? [];
				if (repository === undefined) {
					socket.write(REFUSAL);
					return;
				}
				const start = startOf(repository);
				let answer = heads.get(repository);
				if (answer === undefined) {
					const digest = hash('sha256', Buffer.concat([Buffer.from(start), tail]));
					answer = `HTTP/1.1 200 OK\r\nContent-Type: ${INDEX}\r\nDocker-Content-Digest: sha256:${digest}\r\nContent-Length: ${start.length + tail.length}\r\n\r\n`;
					heads.set(repository, answer);
				}
				socket.write(answer);
				if (head.startsWith('GET')) {
					socket.write(start);
					socket.write(tail);
				}
			},
			{ NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --max-old-space-size=96` },
		);
		const tokens = manyTokens('forged');
		const [token = ''] = tokens.map((text) => text.replace('Bearer ', ''));
		const { pid } = service.child;
		const before = rssOf(pid!);
		let most = before;
		let over = false;
		const statuses = flood(service, 96, (i) => ({
			path: `/v2/${nameOf(i % NAMES)}/manifests/${i % 3 === 0 ? NOWHERE : 'latest'}`,
			headers: { authorization: tokens[i % AT_ONCE]!, accept: ACCEPT },
			from: `192.0.2.${1 + (i % 3)}`,
		})).finally(() => (over = true));
		await until(
			() => {
				most = Math.max(most, rssOf(pid!));
				assert.equal(service.child.exitCode, null, 'the process has ended');
				return over;
			},
			{ seconds: 120 },
		);
		t.diagnostic(`${JSON.stringify(await statuses)}; ${Math.round(before / MB)} MB before, ${Math.round(most / MB)} MB at the most`);
		assert.ok(most < 256 * MB, `${Math.round(most / MB)} MB`);

		const used = processorSecondsOf(pid!);
		for (let i = 0; i < 20; i++) {
			const answer = await get(service, nameOf(0), 'manifests/latest', token, i % 2 === 0 ? 'GET' : 'HEAD');
			assert.equal(answer.status, 400, answer.text);
		}
		const seconds = processorSecondsOf(pid!) - used;
		t.diagnostic(`${seconds} s of the processor for 20`);
		assert.ok(seconds < 3, `${seconds} s`);
	},
);

test(
	'a forged block tells nothing of an image that is in memory for its owner: as of one that is nowhere',
	{ timeout: 60_000 },
	async (t) => {
		const [OWN, PRIVATE, ABSENT] = [0, 1, 2].map(repositoryOf) as [string, string, string];
		const LAYER = `sha256:${'1'.repeat(64)}`;
		const secret = imageManifest(LAYER);
		const DIGEST = `sha256:${hash('sha256', secret)}`;
		const GOOD = `${UNSIGNED}.good`;
		const { service, registry } = await startBefore(t, (socket, head) => {
			const isMine = head.includes(` /v2/${OWN}/`);
			const isHeld = head.includes(` /v2/${PRIVATE}/`) && tokenOf(head) === GOOD;
			const body = isMine ? imageManifest() : secret;
			const answer =
				!isMine && !isHeld
					? REFUSAL
					: /\/manifests\/(latest|sha256:\w+) /.test(head) && (head.includes('/latest ') || head.includes(`sha256:${hash('sha256', body)}`))
						? manifestAnswer(IMAGE, body)
						: httpAnswer('404 Not Found', {});
			socket.write(head.startsWith('HEAD') ? answer.subarray(0, answer.indexOf('\r\n\r\n') + 4) : answer);
		});
		const NAME = 'acme/forged/1.0.0';
		const withImages = (text: string, ...repositories: string[]): string =>
			forge(text, { n: { [NAME]: { block: Object.fromEntries(repositories.map((repository, i) => [ARCHS[i], [repository, '1.0.0']])) } } });
		const index = await get(service, NAME, 'manifests/latest', withImages(GOOD, OWN, PRIVATE));
		assert.equal(JSON.parse(index.text).manifests.length, 2);
		const questions = [
			'manifests/latest',
			`manifests/${DIGEST}`,
			`blobs/${LAYER}`,
			`referrers/${DIGEST}`,
			`manifests/${DIGEST.replace(':', '-')}`,
			`manifests/${String(index.headers['docker-content-digest'])}`,
			'tags/list',
		].flatMap((path) => ['GET', 'HEAD'].map((method) => ({ path, method })));
		const told = async (repository: string): Promise<unknown[]> => {
			// Each has never been seen, and has the rights of the other.
			const token = withImages(`${UNSIGNED}.for-${repository.at(-1)!}`, OWN, repository);
			const outcomes: unknown[] = [];
			for (const { path, method } of questions) {
				registry.heads.length = 0;
				const { status, reason, headers, text } = await get(service, NAME, path, token, method);
				const { date: _date, 'x-request-id': _id, ...rest } = headers;
				const asked = registry.heads.map((head) => head.split(' ', 2).join(' ').replace(repository, 'it')).sort();
				outcomes.push({ path, method, status, reason, rest, text: text.replaceAll(repository, 'it'), asked });
			}
			return outcomes;
		};
		const [ofPrivate, ofAbsent] = [await told(PRIVATE), await told(ABSENT)];
		assert.deepEqual(ofPrivate, ofAbsent);
		const [{ status, text }] = ofPrivate as [Answer];
		assert.deepEqual([status, JSON.parse(text).manifests.length], [200, 1]);
	},
);

test('what one token’s map makes of a block’s name is not what another’s finds', { timeout: 120_000 }, async (t) => {
	const api = await startRelay(upstream.apiUrl);
	t.after(() => api.close());
	const service = await startProcess(t, { apiUrl: api.url, registryUrl: upstream.registryUrl }, { TRUST_PROXY: 'loopback' });
	const NAME = 'acme/display';
	const token = await tokenFor(service, NAME);
	const { block } = grantsOf(token)[NAME] as { block: BlockEntry };
	const images = Object.values(block);
	const forged = (names: Record<string, { block: BlockEntry }>): string => forge(upstreamPart(token), { n: names });

	await t.test('the same repositories, said to be of other fleets: what is not in those is where it was', async () => {
		const { digest } = imageOf(upstream, `${NAME}-amd64`, '1.0.0');
		// All but the first architecture.
		const shifted = Object.fromEntries(images.map((image, i): [string, BlockEntry[string]] => [ARCHS[i + 1]!, image]));
		assert.equal((await get(service, NAME, `manifests/${digest}`, forged({ [NAME]: { block: shifted } }))).status, 404);
		assert.equal((await get(service, NAME, `manifests/${digest}`, token)).status, 200);
	});

	await t.test('a pin that is too old, asked for by 200 clients of one address, is a few searches', async () => {
		const old = { path: `/v2/${NAME}/manifests/${NOWHERE}`, headers: { authorization: `Bearer ${token}`, accept: ACCEPT } };
		assert.deepEqual(await flood(service, 1, () => ({ ...old, from: '192.0.2.2' })), { 404: 1 });
		assert.deepEqual(await flood(service, 200, () => ({ ...old, from: '192.0.2.2' })), { 404: 200 });
	});

	await t.test('1,120 made-up names around the same images: an index that a tag led to is still found by its digest', async () => {
		const index = await get(service, NAME, 'manifests/1.0.0', token);
		assert.equal(index.status, 200, index.text);
		const digest = String(index.headers['docker-content-digest']);
		const [image] = images;
		const tokens = Array.from({ length: 70 }, (_, i) =>
			forged(Object.fromEntries(Array.from({ length: NAMES }, (_, n) => [`acme/made-up-${i}-${n}`, { block: { amd64: image! } }]))),
		);
		const statuses = await flood(service, 70 * NAMES, (i) => ({
			path: `/v2/acme/made-up-${Math.floor(i / NAMES)}-${i % NAMES}/manifests/latest`,
			headers: { authorization: `Bearer ${tokens[Math.floor(i / NAMES)]!}`, accept: ACCEPT },
			from: '192.0.2.1',
		}));
		assert.deepEqual(statuses, { 200: 70 * NAMES });
		api.requests = [];
		const again = await get(service, NAME, `manifests/${digest}`, token);
		assert.deepEqual([again.status, again.text, seen(api)], [200, index.text, []], 'and not by a search');
	});
});

test('a stolen token of a private fleet is no token of the block of its name, nor the other way round', { timeout: 60_000 }, async (t) => {
	const service = await startProcess(t, upstream);
	const owner = basic(upstream.keys.owner);
	const rows: [name: string, forged: (grant: any) => unknown][] = [
		['acme/secret', ({ fleet }) => ({ block: { amd64: fleet } })],
		['acme/veiled', ({ block }) => ({ fleet: block.amd64.slice(0, 2) })],
	];
	for (const [name, forged] of rows) {
		const stolen = await tokenFor(service, name, owner);
		const { n, s } = JSON.parse(Buffer.from(stolen.slice(stolen.indexOf('~') + 1), 'base64url').toString());
		assert.equal(typeof s, 'string');
		const token = forge(upstreamPart(stolen), { n: { [name]: forged(n[name]) }, s });
		assert.equal((await get(service, name, 'tags/list', stolen)).status, 200);
		for (const path of ['tags/list', 'manifests/1.0.0', `blobs/${NOWHERE}`, `manifests/${NOWHERE}`]) {
			const answer = await get(service, name, path, token);
			assert.equal(answer.status, 401, `${name} ${path}: ${answer.text}`);
			assert.match(String(answer.headers['www-authenticate']), /error="invalid_token"/);
		}
	}
});

test('a layer that many others have noted is found without a search', { timeout: 60_000 }, async (t) => {
	const [COMMON, OWN] = ['1', '2'].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string];
	const [MINE, THEIRS] = [0, 1].map(repositoryOf) as [string, string];
	const manifests: Record<string, Buffer> = {
		[MINE]: manifestAnswer(IMAGE, imageManifest(COMMON, OWN)),
		[THEIRS]: manifestAnswer(IMAGE, imageManifest(COMMON)),
	};
	const { service, registry } = await startBefore(t, (socket, head) => {
		const [, repository = '', kind] = /^\w+ \/v2\/(v2\/\d+)\/(\w+)\//.exec(head) ?? [];
		socket.write(kind === 'manifests' ? manifests[repository]! : kind === 'blobs' ? httpAnswer('200 OK', {}, 'x') : REFUSAL);
	});
	const NAME = 'acme/mine/1.0.0';
	const token = forge(`${UNSIGNED}.mine`, { n: { [NAME]: { block: { amd64: [MINE, '1.0.0'], aarch64: [repositoryOf(9), '1.0.0'] } } } });
	manifests[repositoryOf(9)] = httpAnswer('404 Not Found', {});
	assert.equal((await get(service, NAME, 'manifests/latest', token)).status, 200);
	const others = Object.fromEntries(Array.from({ length: NAMES }, (_, i) => [nameOf(i), { block: { amd64: [THEIRS, '1.0.0'] } }]));
	for (const name of Object.keys(others)) {
		assert.equal((await get(service, name, 'manifests/latest', forge(`${UNSIGNED}.theirs`, { n: others }))).status, 200);
	}
	registry.heads.length = 0;
	assert.equal((await get(service, NAME, `blobs/${COMMON}`, token)).status, 200);
	assert.deepEqual(
		registry.heads.filter((head) => head.startsWith('HEAD')),
		[],
	);
});

test('a search in a block’s images ends with its client', { timeout: 60_000 }, async (t) => {
	const hanging = new Set<Socket>();
	const { service } = await startBefore(t, (socket, head) => {
		if (head.startsWith('HEAD ')) {
			hanging.add(socket);
			socket.once('close', () => hanging.delete(socket));
		} else {
			socket.write(head.includes('/manifests/latest') ? manifestAnswer(IMAGE, imageManifest()) : REFUSAL);
		}
	});
	const token = forge(`${UNSIGNED}.forged`, { n: MANY });
	const gone = new AbortController();
	const answer = ask(service, `/v2/${nameOf(0)}/blobs/${NOWHERE}`, { token, signal: gone.signal }).catch(() => undefined);
	await until(() => hanging.size === ARCHS.length);
	gone.abort();
	await answer;
	await until(() => hanging.size === 0);
});

test('nor does one begin for a client that has gone', { timeout: 60_000 }, async (t) => {
	const [OWN, SLOW] = [0, 1].map(repositoryOf) as [string, string];
	const hanging = new Set<Socket>();
	const { service, registry } = await startBefore(t, (socket, head) => {
		if (head.includes(` /v2/${SLOW}/manifests/`)) {
			hanging.add(socket);
			socket.once('close', () => hanging.delete(socket));
		} else {
			socket.write(head.includes('/manifests/latest') ? manifestAnswer(IMAGE, imageManifest()) : REFUSAL);
		}
	});
	const NAME = 'acme/forged/1.0.0';
	const withImages = (block: BlockEntry): string => forge(`${UNSIGNED}.forged`, { n: { [NAME]: { block } } });
	// One is in memory, so that there is something to search in when the other is given up.
	assert.equal((await get(service, NAME, 'manifests/latest', withImages({ amd64: [OWN, '1.0.0'] }))).status, 200);
	const gone = new AbortController();
	const token = withImages({ amd64: [OWN, '1.0.0'], aarch64: [SLOW, '1.0.0'] });
	const answer = ask(service, `/v2/${NAME}/blobs/${NOWHERE}`, { token, signal: gone.signal }).catch(() => undefined);
	await until(() => hanging.size === 1);
	gone.abort();
	await answer;
	await until(() => hanging.size === 0);
	for (let i = 0; i < 5; i++) {
		assert.equal((await get(service, NAME, 'manifests/latest', withImages({ amd64: [OWN, '1.0.0'] }))).status, 200);
	}
	assert.deepEqual(
		registry.heads.filter((head) => head.startsWith('HEAD')),
		[],
	);
});

test('the page of a block is a few questions to the API, once', { timeout: 60_000 }, async (t) => {
	const { service, api } = await startBefore(t, (socket) => socket.write(REFUSAL));
	const isQuery = ({ url }: { url: string }): boolean => url.startsWith('/v7/');
	for (const [path, most] of [
		// That it is no fleet is one, what the name means are three; then each of three fleets' page.
		['/acme/display', 7],
		['/acme/display', 0],
		// Of a release that is no fleet's latest, one more for each.
		['/acme/display/1.0', 1 + 3 + 3],
		['/acme/display/1.0', 0],
	] as const) {
		api.requests = [];
		assert.equal((await ask(service, path)).status, 200);
		assert.ok(seen(api, isQuery).length <= most, `${path}: ${seen(api, isQuery).length}`);
	}
});
