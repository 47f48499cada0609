import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { needs } from '../upstream/tools.ts';
import { run } from './local-base.ts';

const PROGRAM = new URL('../../deploy/healthcheck.ts', import.meta.url).pathname;

/** Runs it as the container engine does. @returns its exit code */
async function check(env: Record<string, string>): Promise<number> {
	const child = spawn(process.execPath, [PROGRAM], { env, stdio: 'ignore' });
	const [code] = await once(child, 'exit');
	return code as number;
}

async function listen(t: TestContext, server: Server, host = '127.0.0.1'): Promise<string> {
	server.listen(0, host);
	await once(server, 'listening');
	t.after(() => server.close());
	return String((server.address() as AddressInfo).port);
}

suite('the health check of the image', () => {
	for (const [answer, status, code] of [
		['the service answers', 200, 0],
		['something else has the port', 404, 1],
		['it fails', 503, 1],
	] as const) {
		test(`${answer}: ${code}`, async (t) => {
			const paths: string[] = [];
			const PROXY_PORT = await listen(
				t,
				createServer((request, response) => {
					paths.push(request.url!);
					response.writeHead(status).end();
				}),
			);
			assert.equal(await check({ PROXY_PORT }), code);
			assert.deepEqual(paths, ['/ping']);
		});
	}

	test('nothing listens: 1', async (t) => {
		const server = createServer();
		const PROXY_PORT = await listen(t, server);
		server.close();
		await once(server, 'close');
		assert.equal(await check({ PROXY_PORT }), 1);
	});

	test('it asks where the service listens', async (t) => {
		const PROXY_PORT = await listen(
			t,
			createServer((_request, response) => response.end('pong')),
			'127.0.0.2',
		);
		assert.equal(await check({ PROXY_PORT, PROXY_HOST: '127.0.0.2' }), 0);
		assert.equal(await check({ PROXY_PORT, PROXY_HOST: '::' }), 1);
	});

	test('it speaks TLS where the service does, whatever name is in the certificate', needs('openssl'), async (t) => {
		const directory = mkdtempSync(join(tmpdir(), 'healthcheck-'));
		t.after(() => rmSync(directory, { recursive: true }));
		const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
		run('openssl', [
			'req',
			'-x509',
			'-newkey',
			'ec',
			'-pkeyopt',
			'ec_paramgen_curve:prime256v1',
			'-nodes',
			'-keyout',
			key,
			'-out',
			cert,
			'-subj',
			'/CN=images.example.com',
		]);
		const PROXY_PORT = await listen(
			t,
			createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_request, response) => response.end('pong')),
		);
		assert.equal(await check({ PROXY_PORT, TLS_CERT: cert, TLS_KEY: key }), 0);
		assert.equal(await check({ PROXY_PORT }), 1);
	});
});
