import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { withBrokenRegistry } from '../../support/broken-registry.ts';
import { httpAnswer } from '../../support/broken-server.ts';
import { ACCEPT } from '../../support/proxy.ts';
import { ask, begin, CACHE_MODES, type Question } from '../../support/setup.ts';
import { until } from '../../support/until.ts';

/* The registry, or what waits for it, says to come again soon: neither moby nor balena-engine does, for a manifest. */

const NAME = 'acme/pinned/1.0.0';
const MANIFEST = '{"schemaVersion":2}';
const DIGEST = `sha256:${hash('sha256', MANIFEST)}`;
const BLOB = `/v2/${NAME}/blobs/${DIGEST}`;
const BY_TAG = `/v2/${NAME}/manifests/latest`;
const BY_DIGEST = `/v2/${NAME}/manifests/${DIGEST}`;
const FOUND = httpAnswer(
	'200 OK',
	{ 'Content-Type': 'application/vnd.oci.image.manifest.v1+json', 'Docker-Content-Digest': DIGEST },
	MANIFEST,
);
const refusal = (status: number, retryAfter: string): Buffer =>
	httpAnswer(`${status} No`, { 'Retry-After': retryAfter }, '{"errors":[{"code":"UNAVAILABLE"}]}');

const KINDS: Record<string, { path: string; question: Question }> = {
	'GET by tag': { path: BY_TAG, question: {} },
	'GET by digest': { path: BY_DIGEST, question: {} },
	'HEAD by tag': { path: BY_TAG, question: { method: 'HEAD' } },
	'HEAD by digest': { path: BY_DIGEST, question: { method: 'HEAD' } },
	'GET of a part': { path: BY_TAG, question: { headers: { range: 'bytes=0-' } } },
};

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	test(`a manifest is waited for; ${mode}`, { concurrency: true, timeout: 60_000 }, async (t) => {
		await Promise.all(
			[429, 503].flatMap((status) =>
				Object.entries(KINDS).map(([kind, { path, question }]) =>
					t.test(`${status}, ${kind}`, async (t) => {
						const { proxy, token, registry } = await withBrokenRegistry(
							t,
							NAME,
							(socket, head) => {
								const answer = registry.heads.length === 1 ? refusal(status, '1') : FOUND;
								socket.write(head.startsWith('HEAD') ? answer.subarray(0, answer.indexOf('\r\n\r\n') + 4) : answer);
							},
							env,
						);
						const answer = await ask(proxy, path, { token, ...question, headers: { accept: ACCEPT, ...question.headers } });
						assert.deepEqual([answer.status < 300, answer.headers['docker-content-digest']], [true, DIGEST], answer.text);
						assert.equal(answer.text, question.method === 'HEAD' ? '' : MANIFEST);
						assert.deepEqual([registry.heads.length, proxy.app.registry.waited], [2, 1]);
						assert.equal(registry.heads[0], registry.heads[1]);
					}),
				),
			),
		);
	});
}

/** What is not waited for, or in vain. */
const TOLD: Record<string, { path?: string; retryAfter: string; asked: number }> = {
	'a manifest, twice': { retryAfter: '1', asked: 2 },
	'a manifest, for too long': { retryAfter: '4', asked: 1 },
	'a blob': { path: BLOB, retryAfter: '1', asked: 1 },
	'the referrers': { path: `/v2/${NAME}/referrers/${DIGEST}`, retryAfter: '1', asked: 1 },
	tags: { path: `/v2/${NAME}/tags/list`, retryAfter: '1', asked: 1 },
	'a ping': { path: '/v2/', retryAfter: '1', asked: 1 },
};

test('what is told', { concurrency: true, timeout: 60_000 }, async (t) => {
	await Promise.all(
		Object.entries(TOLD).map(([what, { path = BY_TAG, retryAfter, asked }]) =>
			t.test(what, async (t) => {
				const { proxy, token, registry } = await withBrokenRegistry(t, NAME, (socket) => void socket.write(refusal(503, retryAfter)));
				const answer = await ask(proxy, path, { token, headers: { accept: ACCEPT } });
				assert.deepEqual([answer.status, answer.headers['retry-after'], registry.heads.length], [503, retryAfter, asked]);
			}),
		),
	);
});

test('a client that goes away while it waits ends it', async (t) => {
	const { proxy, token, registry } = await withBrokenRegistry(t, NAME, (socket) => void socket.write(refusal(503, '1')));
	for (const [path, method] of [
		[BY_TAG, 'GET'],
		[BY_TAG, 'HEAD'],
	] as const) {
		const asked = registry.heads.length;
		const controller = new AbortController();
		const answer = begin(proxy, path, { token, method, signal: controller.signal });
		await until(() => registry.heads.length === asked + 1);
		controller.abort();
		await assert.rejects(answer);
		await until(() => proxy.app.requests.inFlight === 0);
	}
	// One that stays would have waited longer than both.
	const answer = await ask(proxy, BY_DIGEST, { token, headers: { accept: ACCEPT } });
	assert.deepEqual([answer.status, registry.heads.length, proxy.app.registry.waited], [503, 4, 1]);
});

test('a manifest that finds no connection, nor a place to wait for one, comes again', async (t) => {
	const { proxy, token, registry } = await withBrokenRegistry(
		t,
		NAME,
		(socket, head) => void (head.includes('/blobs/') || socket.write(FOUND)),
		{ REGISTRY_CONNECTIONS: '1', REGISTRY_QUEUE: '0', RATE_LIMIT_ALLOW: '127.0.0.1' },
	);
	const controller = new AbortController();
	const blob = begin(proxy, BLOB, { token, signal: controller.signal });
	await until(() => registry.heads.length === 1);
	const answer = ask(proxy, BY_TAG, { token, headers: { accept: ACCEPT } });
	await until(() => proxy.app.requests.inFlight === 2);
	controller.abort();
	await assert.rejects(blob);
	assert.equal((await answer).status, 200);
	assert.equal(proxy.app.registry.waited, 1);
});
