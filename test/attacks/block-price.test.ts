import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { httpAnswer } from '../support/broken-server.ts';
import { flood } from '../support/flood.ts';
import { NO_PROC, processorSecondsOf, rssOf } from '../support/proc.ts';
import { ACCEPT } from '../support/proxy.ts';
import { ask, forge, seen } from '../support/setup.ts';
import { until } from '../support/until.ts';
import { get, MANY, nameOf, NAMES, NOWHERE, REFUSAL, startBefore, tokenOf, UNSIGNED } from './forged-blocks.ts';

/* What one request for a block can be made to cost: questions to the upstreams, memory, and time of the processor. */

const MB = 1024 * 1024;
const INDEX = 'application/vnd.oci.image.index.v1+json';
const PONG = httpAnswer('200 OK', { 'Docker-Distribution-Api-Version': 'registry/2.0', 'Content-Type': 'application/json' }, '{}');

/** How many requests `flood` has under way, each with a token of its own, so that none of them joins another. */
const AT_ONCE = 32;
const manyTokens = (signature: string): string[] =>
	Array.from({ length: AT_ONCE }, (_, i) => `Bearer ${forge(`${UNSIGNED}.${signature.replaceAll('.', '-')}-${i}`, { n: MANY })}`);

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
