import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { httpAnswer } from '../support/broken-server.ts';
import { flood } from '../support/flood.ts';
import { startProcess } from '../support/process.ts';
import { ACCEPT, basic } from '../support/proxy.ts';
import { forge, grantsOf, seen, tokenFor, upstreamPart, type Answer } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { startRelay } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import {
	ARCHS,
	get,
	IMAGE,
	imageManifest,
	manifestAnswer,
	NAMES,
	NOWHERE,
	REFUSAL,
	repositoryOf,
	startBefore,
	tokenOf,
	UNSIGNED,
	type BlockEntry,
} from './forged-blocks.ts';

/* What a forged or stolen token of a block reaches: nothing that is in memory for others, nor what others will need. */

const upstream = await sharedUpstream();

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
