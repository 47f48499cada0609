import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { httpAnswer, startBrokenServer, type BrokenServer } from '../support/broken-server.ts';
import { basic } from '../support/proxy.ts';
import { startProcess, type ServiceProcess } from '../support/process.ts';
import { ask, begin, faultAt, seen, setUp, tokenFor } from '../support/setup.ts';
import { until } from '../support/until.ts';
import { startRelay } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* One client that takes all it can get, and one that wants its share: kinds C, D, E and F of what an attacker with the source at hand found. All addresses are loopback's. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const GREEDY = '127.0.0.2';
const OTHER = '127.0.0.3';
const tokenPath = (name: string): string => `/auth/v1/token?scope=repository:${name}:pull`;
const isQuery = ({ url }: { url: string }): boolean => url.startsWith('/v7/');

test(
	'400 made-up names from one address, of which the API answers none: another client’s token is issued, and its login',
	{ timeout: 60_000 },
	async (t) => {
		const api = await startRelay(upstream.apiUrl);
		t.after(() => api.close());
		const service = await startProcess(t, { apiUrl: api.url, registryUrl: upstream.registryUrl });
		await tokenFor(service, 'acme/multi-arch');
		api.fault = faultAt(/nonsense/, 'hang');
		const gone = new AbortController();
		t.after(() => gone.abort());
		for (let i = 0; i < 400; i++) {
			begin(service, tokenPath(`acme/nonsense-${i}`), { from: GREEDY, signal: gone.signal }).catch(() => undefined);
		}
		await until(() => api.underWay >= 16);
		assert.equal((await ask(service, tokenPath(NAME), { from: OTHER })).status, 200);
		assert.equal(
			(await ask(service, tokenPath('acme/secret'), { from: OTHER, headers: { authorization: basic(upstream.keys.owner) } })).status,
			200,
		);
		assert.equal(api.underWay, 16, 'half of what there is');
	},
);

const BODY = Buffer.alloc(8 * 1024 * 1024, 'x');
const MINE = `sha256:${'f'.repeat(64)}`;
/** Of all blobs but one the beginning, and nothing more. */
function sendSome(socket: Socket, head: string): void {
	socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${BODY.length}\r\n\r\n`);
	socket.write(head.includes(MINE) ? BODY : BODY.subarray(0, 1024 * 1024));
}

/** A registry that streams blobs, or that redirects to a storage which does, and the service before it. */
async function startDownloads(
	t: TestContext,
	isFollowed: boolean,
): Promise<{ service: ServiceProcess; source: BrokenServer; token: string }> {
	const source = await startBrokenServer(t, sendSome);
	const registry = isFollowed
		? await startBrokenServer(t, (socket, head) => {
				const location = `${source.url}${head.split(' ')[1]!}`;
				socket.write(httpAnswer('307 Temporary Redirect', { Location: location, 'Docker-Distribution-Api-Version': 'registry/2.0' }));
			})
		: source;
	const { proxy } = await setUp(t);
	const env: Record<string, string> = isFollowed ? { FOLLOW_REDIRECTS: 'http', FOLLOW_REDIRECTS_ALLOW: '127.0.0.0/8' } : {};
	const service = await startProcess(t, { apiUrl: upstream.apiUrl, registryUrl: registry.url }, env);
	return { service, source, token: await tokenFor(proxy, NAME) };
}

for (const [how, isFollowed] of [
	['streams', false],
	['redirects, which is followed', true],
] as const) {
	test(
		`256 readers from one address that stop, of what the registry ${how}: another client gets its blob`,
		{ timeout: 60_000 },
		async (t) => {
			const { service, source, token } = await startDownloads(t, isFollowed);
			const gone = new AbortController();
			t.after(() => gone.abort());
			const stopped: IncomingMessage[] = [];
			for (let i = 0; i < 256; i++) {
				const digest = `sha256:${String(i).padStart(64, '0')}`;
				begin(service, `/v2/${NAME}/blobs/${digest}`, { from: GREEDY, token, signal: gone.signal }).then(
					(response) => stopped.push(response.on('error', () => undefined)),
					() => undefined,
				);
			}
			await until(() => stopped.length >= 128);
			const answer = await ask(service, `/v2/${NAME}/blobs/${MINE}`, { from: OTHER, token });
			assert.deepEqual([answer.status, answer.text.length], [200, BODY.length]);
			assert.ok(source.open <= 130, `${source.open} connections`);
		},
	);
}

test(
	'100 clients at one address skip gigabytes of a registry that knows no parts: a few at once, and another client gets its part',
	{ timeout: 60_000 },
	async (t) => {
		const { service, source, token } = await startDownloads(t, false);
		const gone = new AbortController();
		t.after(() => gone.abort());
		let refused = 0;
		for (let i = 0; i < 100; i++) {
			const path = `/v2/${NAME}/blobs/sha256:${String(i).padStart(64, '0')}`;
			begin(service, path, { from: GREEDY, token, headers: { range: 'bytes=8000000-8000009' }, signal: gone.signal }).then(
				({ statusCode }) => (refused += statusCode === 503 ? 1 : 0),
				() => undefined,
			);
		}
		await until(() => refused >= 100 - 16);
		await until(() => source.open <= 16 + 1);
		const part = await ask(service, `/v2/${NAME}/blobs/${MINE}`, { from: OTHER, token, headers: { range: 'bytes=8000000-8000009' } });
		assert.deepEqual([part.status, part.text], [206, 'x'.repeat(10)]);
		// What is near is no such thing.
		const near = await ask(service, `/v2/${NAME}/blobs/sha256:${'0'.repeat(64)}`, {
			from: GREEDY,
			token,
			headers: { range: 'bytes=500-509' },
		});
		assert.equal(near.status, 206);
	},
);

test('what a request costs is not how it looks:', { timeout: 60_000 }, async (t) => {
	await t.test('with a limit of 10, no query makes 150 requests for a token cheaper', async (t) => {
		const { proxy } = await setUp(t, { RATE_LIMIT_MAX: '10' });
		const answers = await Promise.all(
			Array.from({ length: 150 }, (_, i) =>
				ask(proxy, `${tokenPath(NAME)}&x=/blobs/${i}`, { headers: { authorization: basic(upstream.keys.owner) } }),
			),
		);
		assert.equal(answers.filter(({ status }) => status === 200).length, 10);
	});
	await t.test('nor does the path of a blob, with a token that nobody has issued or for a name that is not in it', async (t) => {
		const { proxy } = await setUp(t, { RATE_LIMIT_MAX: '20' });
		const token = await tokenFor(proxy, NAME);
		const path = (name: string): string => `/v2/${name}/blobs/sha256:${'0'.repeat(64)}`;
		assert.equal((await ask(proxy, '/v2/', { token })).status, 200);
		const ask50 = async (question: { token: string }, name: string): Promise<number> =>
			(await Promise.all(Array.from({ length: 50 }, () => ask(proxy, path(name), question)))).filter(({ status }) => status !== 429).length;
		assert.equal(await ask50({ token }, NAME), 50, 'the price of content');
		assert.equal((await ask50({ token }, 'acme/multi-arch')) + (await ask50({ token: 'a.b.c' }, NAME)), 20 - 2);
	});
	await t.test('made-up names are a few hundred questions to the API in a minute, whatever asks', async (t) => {
		const { proxy, api } = await setUp(t);
		await tokenFor(proxy, NAME);
		api.fault = (request) =>
			isQuery(request) ? { status: 200, headers: { 'content-type': 'application/json' }, body: '{"d":[]}' } : undefined;
		api.requests = [];
		const names = (i: number): string => Array.from({ length: 8 }, (_, n) => `&scope=repository:acme/made-up-${i}-${n}:pull`).join('');
		const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => ask(proxy, `/auth/v1/token?${names(i)}`)));
		assert.ok(answers.some(({ status }) => status === 429));
		assert.ok(seen(api, isQuery).length <= 300, `${seen(api, isQuery).length}`);
		assert.equal((await ask(proxy, tokenPath(NAME))).status, 200, 'what is known costs nothing');
	});
	await t.test('a digest that has to be looked for is one search, of which there are a hundredth', async (t) => {
		const { proxy } = await setUp(t, { RATE_LIMIT_MAX: '1000' });
		const token = await tokenFor(proxy, 'acme/pinned');
		const statuses = await Promise.all(
			Array.from({ length: 20 }, (_, i) => ask(proxy, `/v2/acme/pinned/blobs/sha256:${String(i).padStart(64, '0')}`, { token })),
		);
		assert.equal(statuses.filter(({ status }) => status === 404).length, 10);
		assert.equal(statuses.filter(({ status }) => status === 429).length, 10);
	});
	await t.test('a made-up service costs the API nothing', async (t) => {
		const { proxy, api } = await setUp(t);
		await tokenFor(proxy, NAME);
		api.requests = [];
		await Promise.all(Array.from({ length: 100 }, (_, i) => ask(proxy, tokenPath(`${NAME}/made-up-${i}`))));
		assert.deepEqual(seen(api, isQuery), []);
	});
});

test('guesses at once are no more than guesses in a row', { timeout: 60_000 }, async (t) => {
	const guess = async (proxy: { url: string }, key: string): Promise<number> =>
		(await ask(proxy, '/auth/v1/token', { headers: { authorization: basic(key) } })).status;
	const rows: Record<string, { key: (i: number) => string; tried: number }> = {
		'at one key': { key: () => 'guess', tried: 3 },
		'at many, from one address': { key: (i) => `guess${i}`, tried: 30 },
	};
	for (const [name, { key, tried }] of Object.entries(rows)) {
		await t.test(name, async (t) => {
			const { proxy, api } = await setUp(t, { LOGIN_FAILURES_MAX: '3' });
			// Seen before, so it need not be counted.
			assert.equal(await guess(proxy, upstream.keys.owner), 200);
			api.requests = [];
			const statuses = await Promise.all(Array.from({ length: 200 }, (_, i) => guess(proxy, key(i))));
			assert.equal(seen(api, ({ url }) => url.startsWith('/auth/')).length, tried);
			assert.equal(statuses.filter((status) => status === 429).length, 200 - tried);
			assert.equal(await guess(proxy, upstream.keys.owner), 200, 'valid credentials that were seen before are let through');
		});
	}
	await t.test('good ones at once are all let in', async (t) => {
		const { proxy } = await setUp(t, { LOGIN_FAILURES_MAX: '3' });
		const statuses = await Promise.all(Array.from({ length: 50 }, () => guess(proxy, upstream.keys.owner)));
		assert.deepEqual(new Set(statuses), new Set([200]));
	});
});
