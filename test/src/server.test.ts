import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'node:test';
import { inherited } from '../support/guarded.ts';

const SERVER = fileURLToPath(new URL('../../src/server.ts', import.meta.url));
const NOWHERE = { API_URL: 'http://127.0.0.1:9', REGISTRY_URL: 'http://127.0.0.1:9', PROXY_HOST: '127.0.0.1', PROXY_PORT: '0' };

function start(env: Record<string, string>): ChildProcess {
	return spawn(process.execPath, [SERVER], { env: { ...inherited(), ...NOWHERE, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** How a start ends that does not succeed. */
async function ended(child: ChildProcess): Promise<{ code: number; printed: string; complaint: string }> {
	let printed = '';
	let complaint = '';
	child.stdout!.on('data', (chunk: Buffer) => (printed += chunk.toString()));
	child.stderr!.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
	const [code] = (await once(child, 'close')) as [number];
	return { code, printed, complaint };
}

describe('server: a start that cannot succeed', () => {
	test('ends with one line that names the setting', async () => {
		assert.deepEqual(await ended(start({ PROXY_PORT: 'eighty' })), {
			code: 1,
			printed: '',
			complaint: 'PROXY_PORT is "eighty", which cannot be used; accepted: a whole number from 0 to 65535\n',
		});
	});
	test('ends with one line that names the port that is taken', async (t) => {
		const other = createServer();
		await once(other.listen(0, '127.0.0.1'), 'listening');
		t.after(() => other.close());
		const { port } = other.address() as AddressInfo;
		const { code, complaint } = await ended(start({ PROXY_PORT: String(port) }));
		assert.equal(code, 1);
		assert.match(complaint, new RegExp(`^cannot listen on 127\\.0\\.0\\.1 port ${port}: .*EADDRINUSE.*\\n$`));
	});
});

describe('server: a start without upstreams', () => {
	test('serves, says where, and ends on SIGTERM', async (t) => {
		const child = start({ TOKEN_SECRET: 'correct-horse-battery-staple-correct-horse' });
		t.after(() => child.kill('SIGKILL'));
		let log = '';
		const origin = await new Promise<string>((resolve, reject) => {
			child.once('exit', (code) => reject(new Error(`ended with ${code}: ${log}`)));
			child.stdout!.on('data', (chunk: Buffer) => {
				log += chunk.toString();
				const url = /listening (?:on|at) (http:\/\/[0-9.]+:\d+)/i.exec(log)?.[1];
				// The block with the settings comes last.
				if (url !== undefined && log.includes('"started"')) {
					resolve(url);
				}
			});
		});
		assert.equal(await (await fetch(`${origin}/ping`)).text(), 'pong');
		assert.doesNotMatch(log, /correct-horse/);
		child.removeAllListeners('exit');
		child.kill('SIGTERM');
		assert.deepEqual(await once(child, 'exit'), [0, null]);
	});
});
