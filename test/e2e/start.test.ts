import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ACCEPT } from '../support/proxy.ts';
import { tokenFor } from '../support/setup.ts';
import { freePort } from '../upstream/listen.ts';
import { inherited } from '../support/guarded.ts';
import { until } from '../support/until.ts';
import { imageOf } from '../upstream/index.ts';
import { startRelay } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';

/* The process that `npm start` runs, in front of its upstreams: what it prints, where it listens, how it ends. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned';
const TOKEN_SECRET = 'correct-horse-battery-staple-correct-horse';
const SERVER = ['src/server.ts'];

interface Running {
	child: ChildProcess;
	/** What it has printed so far. */
	printed(): string;
	/** Its origin, once it listens. */
	url: string;
}

function spawnServer(
	t: TestContext,
	env: Record<string, string>,
	[command, ...args]: string[] = [process.execPath, ...SERVER],
): Omit<Running, 'url'> {
	const settings = { PROXY_HOST: '127.0.0.1', PROXY_PORT: '0', API_URL: upstream.apiUrl, REGISTRY_URL: upstream.registryUrl, TOKEN_SECRET };
	const child = spawn(command!, args, { env: { ...inherited(), ...settings, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
	t.after(() => child.kill('SIGKILL'));
	let text = '';
	for (const stream of [child.stdout, child.stderr]) {
		stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
	}
	return { child, printed: () => text };
}

async function start(t: TestContext, env: Record<string, string> = {}): Promise<Running> {
	const running = spawnServer(t, env);
	const url = (): string | undefined => /listening at (http:\/\/[0-9.]+:\d+)/i.exec(running.printed())?.[1];
	// The block with the settings comes last.
	await until(() => url() !== undefined && running.printed().includes('"started"'));
	return { ...running, url: url()! };
}

/** Waits for its end. @returns its exit code */
async function ended({ child }: Pick<Running, 'child'>): Promise<number | null> {
	if (child.exitCode === null) {
		await once(child, 'exit');
	}
	return child.exitCode;
}

async function portInUse(t: TestContext): Promise<number> {
	const server = createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	t.after(() => server.close());
	return (server.address() as AddressInfo).port;
}

test('it tells what it runs with and that its upstreams answer, and serves', async (t) => {
	const { url, printed } = await start(t);
	const started = JSON.parse(
		printed()
			.split('\n')
			.find((line) => line.includes('"started"'))!,
	);
	assert.deepEqual(started.upstreams, { api: 'ok', registry: 'ok' });
	assert.equal(started.config.API_URL, upstream.apiUrl);
	assert.equal(started.config.TOKEN_SECRET, '(set)');
	assert.ok(!printed().includes(TOKEN_SECRET));
	assert.equal(await (await fetch(`${url}/ping`)).text(), 'pong');
	const token = await tokenFor({ url }, NAME);
	const manifest = await fetch(`${url}/v2/${NAME}/manifests/latest`, {
		headers: { authorization: `Bearer ${token}`, accept: ACCEPT },
	});
	assert.equal(manifest.headers.get('docker-content-digest'), imageOf(upstream, NAME).digest);
});

/** Other systems' takes other options. */
const needsTerminal = process.platform === 'linux' ? needs('script') : { skip: 'not Linux' };

test('on a terminal, it prints that as a block, and Ctrl-C ends it', needsTerminal, async (t) => {
	const { child, printed } = spawnServer(t, {}, [
		'script',
		'--quiet',
		'--return',
		'--command',
		`exec ${process.execPath} ${SERVER[0]}`,
		'/dev/null',
	]);
	await until(() => /registry +http\S+: ok/.test(printed()));
	for (const line of [
		/^ {2}TOKEN_SECRET +\(set\)\r?$/m,
		/^ {2}RESOLUTION_TTL +60 s\r?$/m,
		new RegExp(`^ {2}API_URL +${upstream.apiUrl}\\r?$`, 'm'),
		new RegExp(`^ {2}balena API +${upstream.apiUrl}: ok\\r?$`, 'm'),
	]) {
		assert.match(printed(), line);
	}
	assert.ok(!printed().includes(TOKEN_SECRET));
	child.stdin!.write('\x03');
	assert.equal(await ended({ child }), 0, printed());
});

test('SIGTERM: what is being pulled is pulled to its end', async (t) => {
	const registry = await startRelay(upstream.registryUrl);
	t.after(() => registry.close());
	const running = await start(t, { REGISTRY_URL: registry.url });
	const token = await tokenFor(running, NAME);
	const { digest, size } = imageOf(upstream, NAME).platforms[0]!.layers[0]!;
	registry.fault = ({ url }) => (url.includes('/blobs/') ? { delayMs: 500 } : undefined);
	const layer = fetch(`${running.url}/v2/${NAME}/blobs/${digest}`, { headers: { authorization: `Bearer ${token}` } });
	await until(() => registry.requests.some(({ url }) => url.includes('/blobs/')));
	running.child.kill('SIGTERM');
	await until(() => running.printed().includes('running downloads may finish'));
	assert.equal((await (await layer).arrayBuffer()).byteLength, size);
	assert.equal(await ended(running), 0, running.printed());
});

test('metrics are on their own port only, and nothing else is there', async (t) => {
	const port = await freePort();
	const { url } = await start(t, { METRICS_PORT: String(port) });
	const statusOf = async (address: string): Promise<number> => (await fetch(address)).status;
	assert.equal(await statusOf(`${url}/ping`), 200);
	const lines = (await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).split('\n');
	assert.ok(
		lines.some((line) => line.startsWith('registry_proxy_requests_total{')),
		'the request is counted',
	);
	assert.equal(await statusOf(`${url}/metrics`), 404);
	for (const path of ['/', '/ping', '/v2/', '/auth/v1/token']) {
		assert.equal(await statusOf(`http://127.0.0.1:${port}${path}`), 404, path);
	}
});

test('a start that cannot succeed ends with one line', async (t) => {
	const directory = await mkdtemp(join(tmpdir(), 'start-'));
	t.after(() => rm(directory, { recursive: true }));
	const file = join(directory, 'no-certificate.pem');
	await writeFile(file, 'This is no certificate.\n');
	const rows: [env: Record<string, string>, said: RegExp][] = [
		[{ REGISTRY_URL: 'not a URL' }, /^REGISTRY_URL is "not a URL", which cannot be used; accepted: .+\n$/],
		[{ TOKEN_SECRET: 'too short' }, /^TOKEN_SECRET .+\n$/],
		[
			{ TLS_CERT: join(directory, 'not-there.pem'), TLS_KEY: file },
			/^TLS_CERT is ".+not-there\.pem", which cannot be used; accepted: the path of a readable file\n$/,
		],
		[{ TLS_CERT: file }, /^TLS_CERT is set but TLS_KEY is not; accepted: both, or neither\n$/],
		[
			{ TLS_CERT: file, TLS_KEY: file },
			/^TLS_CERT is ".+" and TLS_KEY is ".+", which cannot be used \(.+\); accepted: a certificate and its key in PEM files\n$/,
		],
		[{ PROXY_PORT: String(await portInUse(t)) }, /^cannot listen on 127\.0\.0\.1 port \d+: .*EADDRINUSE.*\n$/],
		[{ METRICS_PORT: String(await portInUse(t)) }, /^cannot listen on 127\.0\.0\.1 port \d+: .*EADDRINUSE.*\n$/],
	];
	for (const [env, said] of rows) {
		await t.test(Object.keys(env).join(' and '), async (t) => {
			const running = spawnServer(t, env);
			await once(running.child, 'close');
			assert.equal(running.child.exitCode, 1);
			assert.match(running.printed(), said);
			assert.ok(!running.printed().includes('too short'), 'a secret is not shown');
		});
	}
});
