import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { ACCEPT } from '../support/proxy.ts';
import { freePort } from '../upstream/listen.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';
import { run } from './local-base.ts';
import { until } from '../support/until.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const DOMAIN = 'balena.test';
const NAME = 'balenalabs/browser-aarch64/2.3.8';
/** Names of the domain lead to this machine, as they lead to HAProxy within openBalena's network. */
const RESOLVER = `data:text/javascript,${encodeURIComponent(`
	import dns from 'node:dns'; import { syncBuiltinESMExports } from 'node:module';
	const lookup = dns.lookup; dns.lookup = (name, ...rest) => lookup(name.endsWith('.${DOMAIN}') ? '127.0.0.1' : name, ...rest); syncBuiltinESMExports();
`)}`;

/** The way of a request beside openBalena: HAProxy, which routes by host name, TLS of a private CA in front of everything, and the fragment of deploy/openbalena. */
suite('beside openBalena', needs('haproxy', 'openssl'), () => {
	const directory = mkdtempSync(join(tmpdir(), 'openbalena-'));
	const children: ChildProcess[] = [];
	let haproxyPort: number;
	let servicePort: number;

	before(async () => {
		const { apiUrl, registryUrl } = await sharedUpstream();
		makeCertificates(directory);
		[haproxyPort, servicePort] = await Promise.all([freePort(), freePort()]);
		writeFileSync(join(directory, 'haproxy.cfg'), haproxyConfig({ api: new URL(apiUrl).host, registry: new URL(registryUrl).host }));
		await start('haproxy', ['-db', '-f', join(directory, 'haproxy.cfg')], haproxyPort);
	});
	after(async () => {
		await Promise.all(children.map(end));
		rmSync(directory, { recursive: true });
	});

	/** As the Compose file sets it up; only the port is another one. */
	async function startService(env: NodeJS.ProcessEnv): Promise<ChildProcess> {
		const origin = (name: string): string => `https://${name}.${DOMAIN}:${haproxyPort}`;
		const settings = {
			API_URL: origin('api'),
			REGISTRY_URL: origin('registry2'),
			PUBLIC_URL: `https://images.${DOMAIN}`,
			TRUST_PROXY: '127.0.0.0/8',
			PROXY_HOST: '127.0.0.1',
			PROXY_PORT: String(servicePort),
		};
		return start(process.execPath, ['--import', RESOLVER, `${ROOT}src/server.ts`], servicePort, {
			...clean(process.env),
			...settings,
			...env,
		});
	}

	/** Waits until something listens on the port. */
	async function start(command: string, args: string[], port: number, env = process.env): Promise<ChildProcess> {
		const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'ignore'] });
		children.push(child);
		await until(async () => {
			assert.equal(child.exitCode, null, `${command} ended`);
			return await accepts(port);
		});
		return child;
	}

	function get(
		host: string,
		path: string,
		headers: Record<string, string> = {},
	): Promise<{ status: number; headers: Record<string, unknown>; body: any }> {
		return new Promise((resolve, reject) => {
			const options = {
				port: haproxyPort,
				path,
				servername: `${host}.${DOMAIN}`,
				ca: readFileSync(join(directory, 'ca.pem')),
				headers: { host: `${host}.${DOMAIN}`, ...headers },
			};
			request({ host: '127.0.0.1', ...options }, (response) => {
				let text = '';
				response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
				response.on('end', () =>
					resolve({ status: response.statusCode!, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }),
				);
			})
				.on('error', reject)
				.end();
		});
	}

	test('a pull goes through HAProxy to the proxy, and from there through HAProxy to API and registry', async (t) => {
		const service = await startService({ NODE_EXTRA_CA_CERTS: join(directory, 'ca.pem') });
		t.after(() => end(service));

		const challenge = await get('images', '/v2/');
		assert.equal(challenge.status, 401);
		assert.match(String(challenge.headers['www-authenticate']), new RegExp(`^Bearer realm="https://images\\.${DOMAIN}/auth/v1/token",`));
		const { body } = await get('images', `/auth/v1/token?scope=repository:${NAME}:pull`);
		const manifest = await get('images', `/v2/${NAME}/manifests/latest`, { authorization: `Bearer ${body.token}`, accept: ACCEPT });
		assert.equal(manifest.status, 200, JSON.stringify(manifest.body));
		assert.equal(manifest.body.schemaVersion, 2);
	});

	test('without its CA the upstreams are refused, not trusted', async (t) => {
		const service = await startService({});
		t.after(() => end(service));

		const { status, body } = await get('images', `/auth/v1/token?scope=repository:${NAME}:pull`);
		assert.equal(status, 502);
		assert.equal(body.errors[0].code, 'UNAVAILABLE');
		assert.match(String((await get('images', '/ready')).body.api), /cannot be reached \(.*(CERT|ISSUER|SELF_SIGNED|VERIFY).*\)/);
	});

	/** The host rules of openBalena's own HAProxy, with the lines of the fragment put in. */
	function haproxyConfig(upstreams: { api: string; registry: string }): string {
		const [, routes, backend] = /# 1\.[^\n]*\n([^]*?)# 2\.[^\n]*\n([^]*)/.exec(
			readFileSync(`${ROOT}deploy/openbalena/haproxy.cfg`, 'utf8'),
		)!;
		return `
defaults
	mode http
	option forwardfor
	timeout connect 5s
	timeout client 63s
	timeout server 63s
frontend https
	bind 127.0.0.1:${haproxyPort} ssl crt ${join(directory, 'chain.pem')} alpn h2,http/1.1
	default_backend api-backend
	http-request add-header X-Forwarded-Proto https
	acl host-registry-backend hdr_beg(host) -i "registry2."
	use_backend registry-backend if host-registry-backend
${routes}
backend api-backend
	server api ${upstreams.api}
backend registry-backend
	server registry ${upstreams.registry}
${backend!.replace('registry-proxy:80', `127.0.0.1:${servicePort}`).replace(/ resolvers docker-bridge-resolver resolve-prefer ipv4 check port 80/, '')}
`;
	}
});

/** A root CA, and a certificate of it for the domain. */
function makeCertificates(directory: string): void {
	const file = (name: string): string => join(directory, name);
	const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
	run('openssl', ['req', '-x509', ...key, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-subj', '/CN=Private CA']);
	run('openssl', [
		'req',
		'-x509',
		...key,
		'-keyout',
		file('server.key'),
		'-out',
		file('server.pem'),
		'-subj',
		`/CN=${DOMAIN}`,
		'-addext',
		`subjectAltName=DNS:*.${DOMAIN}`,
		'-addext',
		'basicConstraints=critical,CA:FALSE',
		'-CA',
		file('ca.pem'),
		'-CAkey',
		file('ca.key'),
	]);
	writeFileSync(file('chain.pem'), ['server.pem', 'ca.pem', 'server.key'].map((name) => readFileSync(file(name), 'utf8')).join(''));
}

function clean({ NODE_EXTRA_CA_CERTS: _, NODE_OPTIONS: __, ...env }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
	return env;
}

async function end(child: ChildProcess): Promise<void> {
	if (child.exitCode === null && child.signalCode === null) {
		child.kill();
		await once(child, 'exit');
	}
}

async function accepts(port: number): Promise<boolean> {
	const socket = connect(port, '127.0.0.1');
	try {
		await once(socket, 'connect');
		return true;
	} catch {
		return false;
	} finally {
		socket.destroy();
	}
}
