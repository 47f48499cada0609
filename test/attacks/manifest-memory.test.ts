import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { httpAnswer, startBrokenServer } from '../support/broken-server.ts';
import { NO_PROC, rssOf } from '../support/proc.ts';
import { startProcess } from '../support/process.ts';
import { connectTo, sendRaw } from '../support/raw-client.ts';
import { ask, begin, forge, setUp, tokenFor, type Answer } from '../support/setup.ts';
import { until } from '../support/until.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Kind B: a fleet's owner has manifests of 4 MB, and somebody asks for them and reads nothing. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const MB = 1024 * 1024;
const CLIENTS = 200;
const MEDIA_TYPE = 'application/vnd.oci.image.manifest.v1+json';

test(
	`${CLIENTS} clients ask for manifests of 4 MB, with an Accept of each one's own, and read nothing`,
	{ timeout: 90_000, skip: NO_PROC },
	async (t) => {
		const answers = Array.from({ length: 20 }, (_, i) => {
			const body = Buffer.from(`{"n":${i},"x":"${'x'.repeat(4 * MB - 1000)}"}`);
			const digest = `sha256:${hash('sha256', body)}`;
			return { digest, bytes: httpAnswer('200 OK', { 'Content-Type': MEDIA_TYPE, 'Docker-Content-Digest': digest }, body) };
		});
		const registry = await startBrokenServer(t, (socket, head) => {
			const wanted = answers.find(({ digest }) => head.includes(digest)) ?? answers[0]!;
			socket.write(head.startsWith('HEAD') ? wanted.bytes.subarray(0, wanted.bytes.indexOf('\r\n\r\n') + 4) : wanted.bytes);
		});
		const { proxy } = await setUp(t);
		const token = await tokenFor(proxy, NAME);
		const service = await startProcess(
			t,
			{ apiUrl: upstream.apiUrl, registryUrl: registry.url },
			{ NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --max-old-space-size=128` },
		);
		assert.equal((await ask(service, '/ping')).text, 'pong');
		const before = rssOf(service.child.pid!);
		const gone = new AbortController();
		t.after(() => gone.abort());
		const answered: IncomingMessage[] = [];
		let over = 0;
		for (let i = 0; i < CLIENTS; i++) {
			const reference = i % 2 === 0 ? 'latest' : answers[i % 20]!.digest;
			begin(service, `/v2/${NAME}/manifests/${reference}`, {
				from: '127.0.0.2',
				token,
				headers: { accept: `${MEDIA_TYPE}, application/x-${i}` },
				signal: gone.signal,
			}).then(
				(response) => {
					answered.push(response.on('error', () => undefined));
					over++;
				},
				() => over++,
			);
		}
		let most = 0;
		await until(
			() => {
				most = Math.max(most, rssOf(service.child.pid!));
				return over >= 100;
			},
			{ seconds: 60 },
		);
		t.diagnostic(`${Math.round(before / MB)} MB before, ${Math.round(most / MB)} MB at the most, ${answered.length} answered`);
		assert.ok(most < 256 * MB, `${Math.round(most / MB)} MB`);
		const other = await ask(service, `/v2/${NAME}/manifests/latest`, { from: '127.0.0.3', token, headers: { accept: MEDIA_TYPE } });
		assert.deepEqual([other.status, other.text.length > 4 * MB - 2000], [200, true]);
	},
);

test('clients that go before their manifest is there leave nothing of the budget behind', { timeout: 60_000 }, async (t) => {
	const body = (name: string): Buffer => Buffer.from(`{"name":"${name}","x":"${'x'.repeat(name === 'small' ? 20_000 : 4 * MB - 1000)}"}`);
	let gate = Promise.withResolvers<void>();
	// Together what one address may hold.
	const NAMES = [0, 1, 2, 3].map((i) => `acme/large-${i}/1.0.0`);
	const SMALL = 'acme/small/1.0.0';
	const repositoryOf = (name: string): string => `v2/${hash('sha256', name).slice(0, 32)}`;
	const registry = await startBrokenServer(t, (socket, head) => {
		const name = [...NAMES, SMALL].find((one) => head.includes(repositoryOf(one))) ?? '';
		const bytes = body(name === SMALL ? 'small' : name);
		const answer = httpAnswer('200 OK', { 'Content-Type': MEDIA_TYPE, 'Docker-Content-Digest': `sha256:${hash('sha256', bytes)}` }, bytes);
		void (name === SMALL ? Promise.resolve() : gate.promise).then(() => socket.write(answer));
	});
	const service = await startProcess(t, { apiUrl: upstream.apiUrl, registryUrl: registry.url });
	const token = forge(`e30.${Buffer.from(JSON.stringify({ exp: 4_000_000_000 })).toString('base64url')}.any`, {
		n: Object.fromEntries([...NAMES, SMALL].map((name) => [name, [repositoryOf(name), '1.0.0']])),
	});
	const get = (name: string, signal?: AbortSignal): Promise<Answer> =>
		ask(service, `/v2/${name}/manifests/latest`, { token, headers: { accept: MEDIA_TYPE }, ...(signal === undefined ? {} : { signal }) });
	const asked = (): number => registry.heads.filter((head) => head.includes('/manifests/')).length;
	for (const [i, name] of NAMES.entries()) {
		gate = Promise.withResolvers<void>();
		const gone = new AbortController();
		const stays = get(name);
		await until(() => asked() === i + 1);
		// Waits for the same answer, as soon as it has come: later connections are answered.
		const goes = get(name, gone.signal).catch(() => undefined);
		for (let n = 0; n < 5; n++) {
			assert.equal((await ask(service, '/ping')).text, 'pong');
		}
		gone.abort();
		await until(() => service.lines.filter(({ msg, aborted }) => msg === 'request' && aborted === true).length === i + 1);
		gate.resolve();
		await Promise.all([stays, goes]);
	}
	assert.equal(asked(), NAMES.length);
	assert.equal((await get(SMALL)).status, 200);
	assert.equal((await get(SMALL)).status, 200);
	assert.equal(asked(), NAMES.length + 1, 'there is room for it, so that it is remembered');
});

test(
	'what does not fit at the moment, and then fails at the registry, is answered with nothing of the manifest',
	{ timeout: 60_000 },
	async (t) => {
		const ABOUT = { 'Last-Modified': 'Wed, 21 Oct 2026 07:28:00 GMT', 'Cache-Control': 'max-age=60' };
		const bodies = Array.from({ length: 6 }, (_, i) => Buffer.from(`{"n":${i},"x":"${'x'.repeat(4 * MB - 1000)}"}`));
		const digests = bodies.map((body) => `sha256:${hash('sha256', body)}`);
		let isDown = false;
		const registry = await startBrokenServer(t, (socket, head) => {
			const i = digests.findIndex((digest) => head.includes(digest));
			const headers = { ...ABOUT, 'Content-Type': MEDIA_TYPE, 'Docker-Content-Digest': digests[i]! };
			socket.write(isDown ? httpAnswer('500 Internal Server Error', {}) : httpAnswer('200 OK', headers, bodies[i]));
		});
		const { proxy } = await setUp(t);
		const token = await tokenFor(proxy, NAME);
		const service = await startProcess(t, { apiUrl: upstream.apiUrl, registryUrl: registry.url });
		const path = (digest: string): string => `/v2/${NAME}/manifests/${digest}`;
		for (const digest of digests) {
			assert.equal((await ask(service, path(digest), { token })).status, 200);
		}
		isDown = true;
		// All at once on one connection, so that no buffer of the kernel takes any of them before the last is asked for.
		const { answers } = await sendRaw(
			service,
			digests
				.map(
					(digest, i) =>
						`GET ${path(digest)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n${i === 5 ? 'Connection: close\r\n' : ''}\r\n`,
				)
				.join(''),
		);
		const refused = answers.filter(({ status }) => status !== 200);
		assert.notEqual(refused.length, 0);
		for (const { status, headers } of refused) {
			const { etag, 'docker-content-digest': digest, 'last-modified': modified, 'cache-control': cacheControl } = headers;
			assert.deepEqual([status, etag, digest, modified, cacheControl], [502, undefined, undefined, undefined, 'private']);
		}
	},
);

test(
	'bytes that are not what their digest says go to nobody but who asked, however many ask for that digest meanwhile',
	{ timeout: 60_000 },
	async (t) => {
		const good = `{"x":"${'x'.repeat(MB)}"}`;
		const bad = good.replace('xx', 'ab');
		const digest = `sha256:${hash('sha256', good)}`;
		const registry = await startBrokenServer(t, (socket, head) => {
			if (head.includes('/blobs/')) {
				// Goes on for as long as its client does not read.
				socket.write(httpAnswer('200 OK', { 'Content-Type': 'a/b' }, Buffer.alloc(64 * MB)));
			} else {
				const headers = { 'Content-Type': MEDIA_TYPE, 'Docker-Content-Digest': digest };
				socket.write(httpAnswer('200 OK', headers, head.includes(digest) ? good : bad));
			}
		});
		const { proxy } = await setUp(t);
		const token = await tokenFor(proxy, NAME);
		const service = await startProcess(t, { apiUrl: upstream.apiUrl, registryUrl: registry.url });
		const socket = connectTo(service).pause();
		t.after(() => socket.destroy());
		// The second waits for the end of the first.
		for (const path of [`blobs/${digest}`, 'manifests/latest']) {
			socket.write(`GET /v2/${NAME}/${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
			await until(() => registry.heads.some((head) => head.includes(path.split('/', 1)[0]!)));
		}
		for (const from of ['the registry', 'memory']) {
			const answer = await ask(service, `/v2/${NAME}/manifests/${digest}`, { token });
			assert.ok(answer.text === good, `${from}: ${answer.status} ${answer.text.slice(0, 20)}`);
		}
	},
);
