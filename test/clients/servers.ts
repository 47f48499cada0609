import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processOptions } from '../support/constants.ts';
import { run } from '../support/run.ts';
import { until } from '../support/until.ts';
import { startUpstream, type RunningUpstream } from '../upstream/index.ts';
import { freePort } from '../upstream/listen.ts';
import { startBreaking, startRedirector, startStorage, type Counts } from './registries.ts';

/** Everything that a client pulls from, on this machine. */
export interface Servers {
	upstream: RunningUpstream;
	/** Plain HTTP; blobs come from the registry. */
	plain: string;
	/** Plain HTTP; blobs are behind a 307 to another host, which refuses an Authorization header. */
	redirecting: string;
	/** Plain HTTP; the registry breaks off the first big blob of a pull. */
	breaking: string;
	/** Of the current pull; whoever starts one sets them to zero. */
	counts: Counts;
	/** TLS at an nginx in front of it, with X-Forwarded-* and TRUST_PROXY. */
	behindNginx: string;
	/** TLS at the service itself. */
	ownTls: string;
	/** The first three again, with TLS at the service itself. */
	withTls: Pick<Servers, 'plain' | 'redirecting' | 'breaking'>;
	/** PEM file of the private CA of all of them. */
	ca: string;
	stop(): Promise<void>;
}

export async function startServers(): Promise<Servers> {
	const directory = await mkdtemp(join(tmpdir(), 'clients-'));
	const upstream = await startUpstream({ registry: 'docker-registry', large: true });
	const { ca, cert, key } = await makeCertificates(directory);
	const counts: Counts = { stored: 0, brokenOff: 0, ranges: 0 };
	const storage = await startStorage(upstream, counts);
	const redirector = await startRedirector(upstream.registryUrl, storage);
	const breaking = await startBreaking(upstream.registryUrl, counts);
	const children: ChildProcess[] = [];
	const proxy = async (env: Record<string, string>): Promise<string> => {
		const port = await freePort();
		const options = processOptions(env);
		const child = spawn(process.execPath, [...options.args, 'src/server.ts'], {
			env: {
				...process.env,
				PROXY_HOST: '127.0.0.1',
				PROXY_PORT: String(port),
				API_URL: upstream.apiUrl,
				REGISTRY_URL: upstream.registryUrl,
				LOG_LEVEL: 'warn',
				...options.env,
			},
			stdio: ['ignore', 'inherit', 'inherit'],
		});
		children.push(child);
		await untilOpen(port, child);
		return `127.0.0.1:${port}`;
	};
	// All clients have the same wrong key, and together more failures than anybody may have.
	const plain = await proxy({ LOGIN_FAILURES_MAX: '0' });
	const trusting = await proxy({ TRUST_PROXY: '127.0.0.1' });
	const nginx = await startNginx(directory, trusting, cert, key);
	children.push(nginx.child);
	const own = async (env: Record<string, string>): Promise<string> =>
		(await proxy({ TLS_CERT: cert, TLS_KEY: key, ...env })).replace('127.0.0.1', 'localhost');
	const ownTls = await own({ LOGIN_FAILURES_MAX: '0' });
	return {
		upstream,
		plain,
		redirecting: await proxy({ REGISTRY_URL: `http://${redirector.host}` }),
		breaking: await proxy({ REGISTRY_URL: `http://${breaking.host}` }),
		counts,
		behindNginx: nginx.host,
		ownTls,
		withTls: {
			plain: ownTls,
			redirecting: await own({ REGISTRY_URL: `http://${redirector.host}` }),
			breaking: await own({ REGISTRY_URL: `http://${breaking.host}` }),
		},
		ca,
		async stop() {
			await Promise.all(
				children.map(async (child) => {
					const exited = once(child, 'exit');
					child.kill();
					await exited;
				}),
			);
			storage.close();
			redirector.close();
			breaking.close();
			await upstream.close();
			await rm(directory, { recursive: true });
		},
	};
}

async function startNginx(directory: string, target: string, cert: string, key: string): Promise<{ host: string; child: ChildProcess }> {
	const port = await freePort();
	const file = join(directory, 'nginx.conf');
	await writeFile(
		file,
		`
daemon off; pid ${directory}/nginx.pid; error_log stderr warn;
events {}
http {
	access_log off; client_body_temp_path ${directory}/b; proxy_temp_path ${directory}/p; fastcgi_temp_path ${directory}/f; uwsgi_temp_path ${directory}/u; scgi_temp_path ${directory}/s;
	server {
		listen 127.0.0.1:${port} ssl; ssl_certificate ${cert}; ssl_certificate_key ${key};
		location / {
			proxy_pass http://${target}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_max_temp_file_size 0;
			proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto https; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		}
	}
}`,
	);
	const child = spawn('nginx', ['-c', file, '-e', 'stderr'], { stdio: ['ignore', 'inherit', 'inherit'] });
	await untilOpen(port, child);
	return { host: `localhost:${port}`, child };
}

/** A CA of one's own, and a certificate of it for this machine. */
async function makeCertificates(directory: string): Promise<{ ca: string; cert: string; key: string }> {
	const at = (name: string): string => join(directory, name);
	const openssl = async (...args: string[]): Promise<void> => {
		const { code, printed } = await run('openssl', args);
		if (code !== 0) {
			throw new Error(`openssl ${args[0]} failed: ${printed}`);
		}
	};
	const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
	await openssl('req', '-x509', ...newKey, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '2', '-subj', '/CN=Private CA');
	await openssl('req', ...newKey, '-keyout', at('key.pem'), '-out', at('request.pem'), '-subj', '/CN=localhost');
	await writeFile(at('extensions'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
	await openssl(
		'x509',
		'-req',
		'-in',
		at('request.pem'),
		'-CA',
		at('ca.pem'),
		'-CAkey',
		at('ca.key'),
		'-CAcreateserial',
		'-out',
		at('cert.pem'),
		'-days',
		'2',
		'-extfile',
		at('extensions'),
	);
	return { ca: at('ca.pem'), cert: at('cert.pem'), key: at('key.pem') };
}

async function untilOpen(port: number, child: ChildProcess): Promise<void> {
	await until(async () => {
		if (child.exitCode !== null) {
			throw new Error(`nothing listens on port ${port}`);
		}
		return await new Promise<boolean>((resolve) => {
			request({ host: '127.0.0.1', port, path: '/ping' }, (answer) => {
				answer.resume();
				resolve(true);
			})
				.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'))
				.end();
		});
	});
}
