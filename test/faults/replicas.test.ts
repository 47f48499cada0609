import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { ACCEPT, basic, startProxy, type Proxy } from '../support/proxy.ts';
import { ask, tokenFor } from '../support/setup.ts';
import { run } from '../support/run.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';
import { closedPort } from '../support/broken-server.ts';
import { logged } from '../support/expect.ts';

const upstream = await sharedUpstream();
const LOGIN = basic(upstream.keys.owner);
const SECRET = 'correct-horse-battery-staple-correct-horse';

/** Public and private, of one service and of several, by every form of a reference. */
const REFERENCES: { name: string; image: ReturnType<typeof imageOf>; login?: string }[] = [
	{ name: 'balenalabs/browser-aarch64', image: imageOf(upstream, 'balenalabs/browser-aarch64') },
	{ name: 'balenalabs/browser-aarch64/latest', image: imageOf(upstream, 'balenalabs/browser-aarch64') },
	{ name: 'balenalabs/browser-aarch64/2.3.8', image: imageOf(upstream, 'balenalabs/browser-aarch64', '2.3.8+rev2') },
	{ name: 'balenalabs/browser-aarch64/v2.3', image: imageOf(upstream, 'balenalabs/browser-aarch64', '2.3.8+rev2') },
	{ name: 'acme/multi-arch/1.0.0', image: imageOf(upstream, 'acme/multi-arch', '1.0.0') },
	{ name: 'acme/several/1.1.0/db', image: imageOf(upstream, 'acme/several', '1.1.0', 'db') },
	{ name: imageOf(upstream, 'acme/pinned').repository, image: imageOf(upstream, 'acme/pinned') },
	{ name: 'acme/secret', image: imageOf(upstream, 'acme/secret'), login: LOGIN },
	{ name: 'acme/secret-several/1.0.0/worker', image: imageOf(upstream, 'acme/secret-several', '1.0.0', 'worker'), login: LOGIN },
];

/** nginx before two instances of the service that share nothing: each request goes to the other one than the last. */
async function startReplicas(t: TestContext, env: Record<string, string> = {}): Promise<{ url: string; host: string; replicas: Proxy[] }> {
	const replicas = [await startProxy(t, upstream, env), await startProxy(t, upstream, env)];
	const { host, port } = new URL(await closedPort());
	const directory = mkdtempSync(join(tmpdir(), 'nginx-'));
	const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory}/${name};`).join(' ');
	writeFileSync(
		join(directory, 'nginx.conf'),
		`daemon off; pid ${directory}/pid; error_log ${directory}/error.log; worker_processes 1;
		events { worker_connections 200; }
		http {
			access_log off; ${temporary} large_client_header_buffers 4 16k;
			upstream service { ${replicas.map((replica) => `server ${replica.host};`).join(' ')} }
			server {
				listen ${host};
				location / { proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_buffering off; }
			}
		}`,
	);
	const child = spawn('nginx', ['-e', `${directory}/error.log`, '-c', join(directory, 'nginx.conf')], { stdio: 'ignore' });
	t.after(async () => {
		child.kill();
		await once(child, 'exit');
		rmSync(directory, { recursive: true });
	});
	for (let isListening = false; !isListening;) {
		if (child.exitCode !== null) {
			throw new Error(`nginx ended: ${readFileSync(`${directory}/error.log`, 'utf8')}`);
		}
		const socket = connect(Number(port), '127.0.0.1');
		isListening = await once(socket, 'connect').then(
			() => true,
			() => false,
		);
		socket.destroy();
	}
	return { url: `http://${host}`, host, replicas };
}

function assertBothWereUsed(replicas: Proxy[], kinds: string[]): void {
	for (const replica of replicas) {
		for (const kind of kinds) {
			assert.ok(
				logged(replica, (line) => line.msg === 'request' && line.kind === kind),
				`one of the replicas had no ${kind}`,
			);
		}
	}
}

suite('two replicas behind nginx, round-robin', needs('nginx', 'skopeo'), () => {
	test('plain HTTP: challenge, token, manifests by tag and digest, blobs, each from another replica', { timeout: 60_000 }, async (t) => {
		const { url, host, replicas } = await startReplicas(t);
		const balanced = { url };
		for (const { name, image, login } of REFERENCES) {
			await t.test(name, async () => {
				const challenge = await ask(balanced, '/v2/');
				assert.equal(challenge.headers['www-authenticate'], `Bearer realm="http://${host}/auth/v1/token",service="${upstream.service}"`);
				// One more, so that it is an odd number, and the next reference begins at the other replica.
				assert.equal((await ask(balanced, '/ping')).text, 'pong');
				const token = await tokenFor(balanced, name, login);
				const question = { token, headers: { accept: ACCEPT } };
				// Twice, so that each of the two is asked by tag and by digest.
				for (let i = 0; i < 2; i++) {
					assert.equal((await ask(balanced, '/v2/', { token })).status, 200);
					const head = await ask(balanced, `/v2/${name}/manifests/latest`, { ...question, method: 'HEAD' });
					assert.equal(head.headers['docker-content-digest'], image.digest);
					const manifest = await ask(balanced, `/v2/${name}/manifests/${image.digest}`, question);
					assert.equal(manifest.status, 200, manifest.text);
					for (const { digest, configDigest, layers } of image.platforms) {
						assert.equal((await ask(balanced, `/v2/${name}/manifests/${digest}`, question)).status, 200);
						for (const blob of [configDigest, ...layers.map((layer) => layer.digest)]) {
							assert.ok([200, 307].includes((await ask(balanced, `/v2/${name}/blobs/${blob}`, { token })).status));
						}
					}
				}
			});
		}
		assertBothWereUsed(replicas, ['ping', 'token', 'manifest', 'blob']);
	});

	for (const [tags, env] of [
		['lenient', { TOKEN_SECRET: SECRET }],
		['strict', { TAGS: 'strict', TOKEN_SECRET: SECRET }],
	] as const) {
		test(`skopeo copies every form of reference, with TAGS=${tags}`, { timeout: 120_000 }, async (t) => {
			const { host, replicas } = await startReplicas(t, env);
			const references =
				tags === 'lenient'
					? REFERENCES.map(({ name, ...rest }) => ({ reference: name, ...rest }))
					: [
							{ reference: 'acme/secret:1.0.0', image: imageOf(upstream, 'acme/secret', '1.0.0'), login: LOGIN },
							{ reference: 'balenalabs/browser-aarch64:2.3', image: imageOf(upstream, 'balenalabs/browser-aarch64', '2.3.8+rev2') },
						];
			for (const { reference, image, login } of references) {
				await t.test(reference, async (t) => {
					const directory = mkdtempSync(join(tmpdir(), 'copied-'));
					t.after(() => rmSync(directory, { recursive: true }));
					const credentials = login === undefined ? ['--src-no-creds'] : ['--src-creds', `u:${upstream.keys.owner}`];
					const { code, printed } = await run('skopeo', [
						'copy',
						'--all',
						'--src-tls-verify=false',
						...credentials,
						`docker://${host}/${reference}`,
						`dir:${directory}`,
					]);
					assert.equal(code, 0, printed);
					const manifest = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8'));
					assert.deepEqual(
						(manifest.manifests ?? [manifest.config]).map(({ digest }: { digest: string }) => digest),
						image.platforms.map((platform) => (manifest.manifests === undefined ? platform.configDigest : platform.digest)),
					);
				});
			}
			assertBothWereUsed(replicas, ['token', 'manifest', 'blob']);
		});
	}

	test('one of them goes away: the other one serves', { timeout: 60_000 }, async (t) => {
		const { url, replicas } = await startReplicas(t);
		const token = await tokenFor({ url }, 'acme/pinned');
		await replicas[0]!.app.close();
		for (let i = 0; i < 4; i++) {
			assert.equal((await ask({ url }, '/v2/acme/pinned/manifests/latest', { token, headers: { accept: ACCEPT } })).status, 200);
			await tokenFor({ url }, 'acme/pinned');
		}
	});
});
