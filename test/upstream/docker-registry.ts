import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './listen.ts';
import type { TokenSigner } from './tokens.ts';

const PROGRAM = 'docker-registry';
const START_ATTEMPTS = 5;

/** The commands without which the real registry cannot be run. */
export const DOCKER_REGISTRY_NEEDS = [PROGRAM, 'openssl'];

/**
 * Starts Debian's `docker-registry` on a free port of 127.0.0.1, with token authentication and storage in `directory`.
 *
 * @param realm URL of the token endpoint for its challenges
 * @throws Error with what the registry wrote, when it does not come up
 */
export async function startDockerRegistry(
	directory: string,
	realm: string,
	signer: TokenSigner,
): Promise<{ url: string; close(): Promise<void> }> {
	const certificates = join(directory, 'token-certificate.pem');
	writeCertificate(certificates, join(directory, 'token-key.pem'), signer);
	for (let attempt = 1; ; attempt++) {
		const port = await freePort();
		const configFile = join(directory, 'registry.yml');
		writeFileSync(configFile, configuration(port, directory, realm, certificates, signer));
		try {
			return await run(configFile, `http://127.0.0.1:${port}`);
		} catch (error) {
			const portWasTaken = error instanceof Error && error.message.includes('address already in use');
			if (!portWasTaken || attempt === START_ATTEMPTS) {
				throw error;
			}
		}
	}
}

/** https://distribution.github.io/distribution/about/configuration/ (JSON is YAML). */
function configuration(port: number, directory: string, realm: string, rootcertbundle: string, { issuer, service }: TokenSigner): string {
	return JSON.stringify({
		version: 0.1,
		log: { level: 'error', accesslog: { disabled: true } },
		storage: {
			filesystem: { rootdirectory: join(directory, 'storage') },
			delete: { enabled: false },
			maintenance: { uploadpurging: { enabled: false } },
		},
		http: { addr: `127.0.0.1:${port}`, secret: 'sample' },
		auth: { token: { realm, service, issuer, rootcertbundle } },
	});
}

async function run(configFile: string, url: string): Promise<{ url: string; close(): Promise<void> }> {
	// The shell ends the registry when its standard input closes, which also happens when this process is killed.
	const child = spawn('/bin/sh', ['-c', `${PROGRAM} serve "$0" & read _; kill $!; wait`, configFile], {
		stdio: ['pipe', 'ignore', 'pipe'],
	});
	const exited = once(child, 'exit');
	let output = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-4000)));
	const close = async (): Promise<void> => {
		child.stdin.end();
		await exited;
	};
	for (let waited = 0; waited < 10_000; waited += 20) {
		const response = await fetch(`${url}/v2/`).catch(() => undefined);
		await response?.body?.cancel();
		if (response?.status === 401) {
			return { url, close };
		}
		if (/level=fatal|panic:/.test(output)) {
			break;
		}
		await sleep(20);
	}
	await close();
	throw new Error(`${PROGRAM} did not start: ${output}`);
}

/** The certificate by which the registry trusts the signer's key. */
function writeCertificate(file: string, keyFile: string, { privateKey }: TokenSigner): void {
	writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
	execFileSync('openssl', ['req', '-x509', '-new', '-key', keyFile, '-subj', '/CN=sample', '-days', '30', '-out', file], {
		stdio: 'ignore',
	});
}
