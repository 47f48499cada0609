import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { parseChallenge } from '../../../src/registry/challenge.ts';
import { startProxy, type Proxy } from '../../support/proxy.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { needs } from '../../upstream/tools.ts';
import { run } from '../../support/run.ts';

/* TLS_CERT and TLS_KEY: https without a balancer, and certificates that are renewed while it runs. */

const upstream = await sharedUpstream();
/** A little more than it takes until the files are looked at again. */
const POLL_MS = 10_001;

interface Pair {
	cert: string;
	key: string;
}

function directory(t: TestContext): string {
	const path = mkdtempSync(join(tmpdir(), 'certificate-'));
	t.after(() => rmSync(path, { recursive: true }));
	return path;
}

async function makePair(name: string): Promise<Pair> {
	const pair = { cert: `${name}.pem`, key: `${name}-key.pem` };
	const { code, printed } = await run('openssl', [
		...[
			'req',
			'-x509',
			'-newkey',
			'ec',
			'-pkeyopt',
			'ec_paramgen_curve:prime256v1',
			'-nodes',
			'-days',
			'2',
			'-subj',
			'/CN=localhost',
			'-addext',
			'subjectAltName=DNS:localhost,IP:127.0.0.1',
		],
		...['-keyout', pair.key, '-out', pair.cert],
	]);
	assert.equal(code, 0, printed);
	return pair;
}

const fingerprintOf = ({ cert }: Pair): string => new X509Certificate(readFileSync(cert)).fingerprint256;

/** Which certificate a new connection is shown. */
async function shownBy({ host }: Proxy): Promise<string> {
	const socket = connect({ host: '127.0.0.1', port: Number(host.split(':')[1]), rejectUnauthorized: false });
	await once(socket, 'secureConnect');
	const { fingerprint256 } = socket.getPeerX509Certificate()!;
	socket.destroy();
	return fingerprint256;
}

async function getOver(agent: Agent, { host }: Proxy, path: string): Promise<IncomingMessage & { body: string }> {
	const [response] = (await once(get(`https://${host}${path}`, { agent }), 'response')) as [IncomingMessage];
	return Object.assign(response, { body: await text(response) });
}

describe('a certificate of its own', needs('openssl'), () => {
	let first: Pair;
	let second: Pair;
	let pairs: string;
	before(async () => {
		pairs = mkdtempSync(join(tmpdir(), 'certificates-'));
		[first, second] = await Promise.all([makePair(`${pairs}/first`), makePair(`${pairs}/second`)]);
	});
	after(() => rmSync(pairs, { recursive: true }));

	/** A service with the first certificate, in files of its own. */
	async function start(t: TestContext): Promise<{ proxy: Proxy; files: Pair }> {
		const path = directory(t);
		const files = { cert: `${path}/tls.crt`, key: `${path}/tls.key` };
		copyFileSync(first.cert, files.cert);
		copyFileSync(first.key, files.key);
		// So that the next look at the files does not have to be waited for.
		t.mock.timers.enable({ apis: ['setInterval'] });
		const proxy = await startProxy(t, upstream, { TLS_CERT: files.cert, TLS_KEY: files.key });
		assert.equal(await shownBy(proxy), fingerprintOf(first));
		return { proxy, files };
	}

	test('is served, and challenges say https', async (t) => {
		const { proxy } = await start(t);
		const agent = new Agent({ ca: readFileSync(first.cert) });
		const { statusCode, headers } = await getOver(agent, proxy, '/v2/');
		assert.equal(statusCode, 401);
		assert.equal(parseChallenge(headers['www-authenticate'])?.realm, `https://${proxy.host}/auth/v1/token`);
		await assert.rejects(fetch(`http://${proxy.host}/ping`), 'plain HTTP is not');
	});

	test('is good enough for skopeo, which is told the CA', needs('skopeo'), async (t) => {
		const { proxy, files } = await start(t);
		const certificates = directory(t);
		copyFileSync(files.cert, `${certificates}/ca.crt`);
		const image = `docker://${proxy.host.replace('127.0.0.1', 'localhost')}/acme/pinned`;
		const { code, printed } = await run('skopeo', ['inspect', '--no-creds', '--cert-dir', certificates, '--format', '{{.Digest}}', image]);
		assert.equal(code, 0, printed);
		assert.equal((await run('skopeo', ['inspect', '--no-creds', image])).code, 1);
	});

	const RENEWALS: [how: string, renew: (files: Pair, t: TestContext) => void][] = [
		[
			'written over',
			(files) => {
				copyFileSync(second.cert, files.cert);
				copyFileSync(second.key, files.key);
			},
		],
		[
			'replaced by other files',
			(files) => {
				for (const kind of ['cert', 'key'] as const) {
					copyFileSync(second[kind], `${files[kind]}.new`);
					renameSync(`${files[kind]}.new`, files[kind]);
				}
			},
		],
		[
			'replaced by symbolic links, as Kubernetes does',
			(files, t) => {
				const version = join(directory(t), '..data');
				mkdirSync(version);
				for (const kind of ['cert', 'key'] as const) {
					copyFileSync(second[kind], join(version, kind));
					rmSync(files[kind]);
					symlinkSync(join(version, kind), files[kind]);
				}
			},
		],
	];
	for (const [how, renew] of RENEWALS) {
		test(`${how}: new connections are shown the new one`, async (t) => {
			const { proxy, files } = await start(t);
			renew(files, t);
			t.mock.timers.tick(POLL_MS);
			assert.equal(await shownBy(proxy), fingerprintOf(second));
			assert.match(proxy.log.join(''), /the certificate has changed/);
		});
	}

	const UNUSABLE: [what: string, spoil: (files: Pair) => void][] = [
		['one that has come before its key', (files) => copyFileSync(second.cert, files.cert)],
		['a key that has come before its certificate', (files) => copyFileSync(second.key, files.key)],
		['an empty file', (files) => writeFileSync(files.cert, '')],
		['half a file', (files) => writeFileSync(files.cert, readFileSync(second.cert).subarray(0, 200))],
		['no file', (files) => rmSync(files.key)],
	];
	for (const [what, spoil] of UNUSABLE) {
		test(`${what}: the old one is shown until the new one is whole`, async (t) => {
			const { proxy, files } = await start(t);
			spoil(files);
			t.mock.timers.tick(POLL_MS);
			assert.equal(await shownBy(proxy), fingerprintOf(first));
			assert.match(proxy.log.join(''), /cannot be used yet/);
			copyFileSync(second.cert, files.cert);
			copyFileSync(second.key, files.key);
			t.mock.timers.tick(POLL_MS);
			assert.equal(await shownBy(proxy), fingerprintOf(second));
		});
	}

	test('connections that are open go on', async (t) => {
		const { proxy, files } = await start(t);
		const agent = new Agent({ ca: readFileSync(first.cert), keepAlive: true, maxSockets: 1 });
		t.after(() => agent.destroy());
		const before = await getOver(agent, proxy, '/ping');
		copyFileSync(second.cert, files.cert);
		copyFileSync(second.key, files.key);
		t.mock.timers.tick(POLL_MS);
		assert.equal(await shownBy(proxy), fingerprintOf(second));
		const after = await getOver(agent, proxy, '/ping');
		assert.equal(after.body, 'pong');
		assert.equal(after.socket, before.socket);
	});

	test('is not looked at while nothing has changed', async (t) => {
		const { proxy } = await start(t);
		t.mock.timers.tick(10 * POLL_MS);
		assert.doesNotMatch(proxy.log.join(''), /the certificate has changed/);
	});
});
