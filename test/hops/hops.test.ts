import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { built } from '../clients/install.ts';
import { logged } from '../support/expect.ts';
import { ACCEPT, startProxy } from '../support/proxy.ts';
import { tokenFor } from '../support/setup.ts';
import { until } from '../support/until.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';
import { documented, startHop, type Place } from './hop.ts';

/* What real hops make of the service, with their defaults and as docs/balancers.md has them. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const LAYER = imageOf(upstream, 'acme/pinned', '1.0.0').platforms[0]!.layers[0]!;

const nginxStock = ({ directory, port, service }: Place): string => `server {
	listen 127.0.0.1:${port} ssl;
	ssl_certificate ${directory}/cert.pem; ssl_certificate_key ${directory}/key.pem;
	location / { proxy_pass http://${service}; }
}`;

const nginxDocumented = ({ directory, port, service }: Place): string =>
	documented('nginx', [
		['10.0.0.11:8080', service],
		['10.0.0.12:8080', service],
		['listen 443 ssl', `listen 127.0.0.1:${port} ssl`],
		['/etc/nginx/fullchain.pem', `${directory}/cert.pem`],
		['/etc/nginx/privkey.pem', `${directory}/key.pem`],
	]);

function nginx(server: (place: Place) => string): (place: Place) => [string, ...string[]] {
	return (place) => {
		const { directory } = place;
		const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
			.map((name) => `${name}_temp_path ${directory}/${name};`)
			.join(' ');
		writeFileSync(
			join(directory, 'nginx.conf'),
			`daemon off; pid ${directory}/pid; worker_processes 1; user root; events {} http { access_log off; ${temporary} ${server(place)} }`,
		);
		return ['nginx', '-e', 'stderr', '-c', join(directory, 'nginx.conf')];
	};
}

function haproxy({ directory, port, service }: Place): [string, ...string[]] {
	const backend = documented('HAProxy', [
		['10.0.0.11:8080', service],
		['10.0.0.12:8080', service],
	]);
	writeFileSync(
		join(directory, 'haproxy.cfg'),
		`defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend https
	bind 127.0.0.1:${port} ssl crt ${directory}/both.pem
	default_backend registry-proxy
${backend}`,
	);
	return ['haproxy', '-db', '-f', join(directory, 'haproxy.cfg')];
}

function caddy(binary: string): (place: Place) => [string, ...string[]] {
	return ({ directory, port, service }) => {
		const site = documented('Caddy', [
			['bh.cr {', `https://bh.cr:${port} {\n\tbind 127.0.0.1\n\ttls ${directory}/cert.pem ${directory}/key.pem`],
			['10.0.0.11:8080', service],
			[' 10.0.0.12:8080', ''],
		]);
		writeFileSync(join(directory, 'Caddyfile'), `{\n\tadmin off\n\tauto_https off\n}\n${site}`);
		return [binary, 'run', '--config', join(directory, 'Caddyfile'), '--adapter', 'caddyfile'];
	};
}

/** Built with the clients, which takes minutes. */
const caddyBinary = built('caddy');
const caddySkip = existsSync(caddyBinary) ? needs('openssl').skip : 'Caddy is not built: npm run test:clients does that';

interface Row {
	hop: string;
	skip: string | false;
	configure: (place: Place) => [string, ...string[]];
	/** Where clients are sent for a token, without PUBLIC_URL and whatever the client says of X-Forwarded-Host. `:port` is the hop's. */
	realm: (hop: { port: number }, service: string) => string;
	/** Who the client is for limits, when it says that it is 203.0.113.9. */
	client: string;
	/** What becomes of a token of 12 KB: 401 is the service's, by which it has read it. */
	longToken: number;
}

const own = ({ port }: { port: number }): string => `https://bh.cr:${port}`;
const ROWS: Row[] = [
	{
		hop: 'nginx with its defaults',
		...needs('nginx', 'openssl'),
		configure: nginx(nginxStock),
		realm: () => 'http://evil.example',
		client: '203.0.113.9',
		longToken: 400,
	},
	{
		hop: 'nginx as documented',
		...needs('nginx', 'openssl'),
		configure: nginx(nginxDocumented),
		realm: own,
		client: '127.0.0.1',
		longToken: 401,
	},
	{ hop: 'HAProxy as documented', ...needs('haproxy', 'openssl'), configure: haproxy, realm: own, client: '127.0.0.1', longToken: 401 },
	{ hop: 'Caddy as documented', skip: caddySkip, configure: caddy(caddyBinary), realm: own, client: '127.0.0.1', longToken: 401 },
];

for (const { hop: name, skip, configure, realm, client, longToken } of ROWS) {
	describe(name, { skip }, () => {
		test('what it says of a client, and what it lets the client say', async (t) => {
			const proxy = await startProxy(t, upstream, { TRUST_PROXY: 'loopback' });
			const hop = await startHop(t, proxy.host, configure);
			const realmOf = async (headers: Record<string, string> = {}): Promise<string | undefined> =>
				/realm="(.*)\/auth\/v1\/token"/.exec(String((await hop.ask('/v2/', headers)).headers['www-authenticate']))?.[1];
			assert.equal(await realmOf({ 'x-forwarded-for': '203.0.113.9', 'x-forwarded-host': 'evil.example' }), realm(hop, proxy.host));
			await until(() => logged(proxy, ({ msg, kind }) => msg === 'request' && kind === 'ping') !== undefined);
			assert.equal(logged(proxy, ({ msg, kind }) => msg === 'request' && kind === 'ping')!.client, client);
			const { status } = await hop.ask('/v2/', { authorization: `Bearer ${'a'.repeat(12 * 1024)}` });
			assert.equal(status, longToken);
		});

		test('a pull, with PUBLIC_URL', async (t) => {
			const proxy = await startProxy(t, upstream, { TRUST_PROXY: 'loopback', PUBLIC_URL: 'https://bh.cr' });
			const hop = await startHop(t, proxy.host, configure);
			assert.match(String((await hop.ask('/v2/')).headers['www-authenticate']), /realm="https:\/\/bh\.cr\/auth\/v1\/token"/);
			const authorization = `Bearer ${await tokenFor(proxy, NAME)}`;
			const manifest = await hop.ask(`/v2/${NAME}/manifests/latest`, { authorization, accept: ACCEPT });
			assert.equal(manifest.status, 200, manifest.body.toString());
			assert.equal(`sha256:${createHash('sha256').update(manifest.body).digest('hex')}`, manifest.headers['docker-content-digest']);
			const blob = await hop.ask(`/v2/${NAME}/blobs/${LAYER.digest}`, { authorization });
			assert.equal(`sha256:${createHash('sha256').update(blob.body).digest('hex')}`, LAYER.digest);
		});
	});
}
