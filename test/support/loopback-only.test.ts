import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { guarded } from './guarded.ts';
import { run } from './run.ts';

/* What keeps every test, and every Node that it starts, away from other machines. */

const PRINT = '.then(() => console.log("reached"), (error) => console.log((error.cause ?? error).code))';
const LISTENING = 'await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve)); const { port } = server.address();';
/** `recorded` is what the run fails by. */
const ROWS: { what: string; code: string; printed: string; recorded?: RegExp }[] = [
	{ what: 'fetch', code: `await fetch('http://192.0.2.1/')${PRINT}`, printed: 'ENETUNREACH', recorded: /192\.0\.2\.1:80/ },
	{ what: 'fetch by IPv6', code: `await fetch('http://[2001:db8::1]:8080/')${PRINT}`, printed: 'ENETUNREACH', recorded: /2001:db8::1/ },
	{ what: 'TLS', code: `await fetch('https://192.0.2.1/')${PRINT}`, printed: 'ENETUNREACH', recorded: /192\.0\.2\.1:443/ },
	{
		what: 'a socket by port and host',
		code: `(await import('node:net')).connect(25, '198.51.100.1').on('error', ({ code }) => console.log(code))`,
		printed: 'ENETUNREACH',
		recorded: /198\.51\.100\.1:25/,
	},
	{ what: 'a name', code: `await fetch('http://example.com/')${PRINT}`, printed: 'ENOTFOUND' },
	{ what: 'a name, looked up', code: `await (await import('node:dns/promises')).lookup('example.com')${PRINT}`, printed: 'ENOTFOUND' },
	{ what: 'a name server', code: `await (await import('node:dns/promises')).resolve4('example.com')${PRINT}`, printed: 'ECONNREFUSED' },
	{
		what: 'a look-up that says otherwise',
		code: `const lookup = (_name, _options, callback) => callback(null, [{ address: '203.0.113.1', family: 4 }]);
			(await import('node:net')).connect({ port: 1, host: 'localhost', lookup }).on('error', ({ code }) => console.log(code))`,
		printed: 'ENETUNREACH',
		recorded: /203\.0\.113\.1, which is localhost/,
	},
	{
		what: 'UDP',
		code: `const socket = (await import('node:dgram')).createSocket('udp4');
			try { socket.send('x', 53, '192.0.2.53'); } catch ({ code }) { console.log(code); } socket.close()`,
		printed: 'ENETUNREACH',
		recorded: /192\.0\.2\.53/,
	},
	{
		what: 'a process that the process starts',
		code: `(await import('node:child_process')).spawnSync(process.execPath, ['--eval', 'fetch("http://192.0.2.9/").catch(({ cause }) => console.log(cause.code))'], { stdio: 'inherit' })`,
		printed: 'ENETUNREACH',
		recorded: /192\.0\.2\.9/,
	},
	...['127.0.0.1', 'localhost', '0.0.0.0'].map((host) => ({
		what: host,
		code: `const server = (await import('node:http')).createServer((_request, response) => response.end()); ${LISTENING}
			await fetch(\`http://${host}:\${port}/\`)${PRINT}; server.close(); server.closeAllConnections()`,
		printed: 'reached',
	})),
];

for (const { what, code, printed, recorded } of ROWS) {
	test(`${what}: ${printed}`, async (t) => {
		const directory = mkdtempSync(join(tmpdir(), 'loopback-'));
		t.after(() => rmSync(directory, { recursive: true }));
		const record = join(directory, 'record');
		const outcome = await run(process.execPath, ['--input-type=module', '--eval', code], { env: guarded(record) });
		assert.equal(outcome.printed.trim(), printed);
		if (recorded === undefined) {
			assert.throws(() => readFileSync(record), /ENOENT/);
		} else {
			assert.match(readFileSync(record, 'utf8'), recorded);
		}
	});
}
