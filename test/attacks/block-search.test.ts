import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { httpAnswer } from '../support/broken-server.ts';
import { ask, forge } from '../support/setup.ts';
import { until } from '../support/until.ts';
import {
	ARCHS,
	get,
	IMAGE,
	imageManifest,
	manifestAnswer,
	MANY,
	nameOf,
	NAMES,
	NOWHERE,
	REFUSAL,
	repositoryOf,
	startBefore,
	UNSIGNED,
	type BlockEntry,
} from './forged-blocks.ts';

/* When a digest is looked for in the images of a block: not where it has been noted, and not for a client that has gone. */

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
