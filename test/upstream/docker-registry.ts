import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startRegistryProcess, type RegistryProcess } from './registry-process.ts';
import type { TokenSigner } from './tokens.ts';

const PROGRAM = 'docker-registry';

/** The commands without which the real registry cannot be run. */
export const DOCKER_REGISTRY_NEEDS = [PROGRAM, 'openssl'];

/**
 * Starts Debian's `docker-registry` on a free port of 127.0.0.1, with token authentication and storage in `directory`.
 *
 * @param realm URL of the token endpoint for its challenges
 * @throws Error with what the registry wrote, when it does not come up
 */
export async function startDockerRegistry(directory: string, realm: string, signer: TokenSigner): Promise<RegistryProcess> {
	const rootcertbundle = join(directory, 'token-certificate.pem');
	writeCertificate(rootcertbundle, join(directory, 'token-key.pem'), signer);
	const { issuer, service } = signer;
	return startRegistryProcess({
		program: PROGRAM,
		configFile: join(directory, 'registry.yml'),
		configuration: (port) => ({
			version: 0.1,
			log: { level: 'error', accesslog: { disabled: true } },
			storage: {
				filesystem: { rootdirectory: join(directory, 'storage') },
				delete: { enabled: false },
				maintenance: { uploadpurging: { enabled: false } },
			},
			http: { addr: `127.0.0.1:${port}`, secret: 'sample' },
			auth: { token: { realm, service, issuer, rootcertbundle } },
		}),
	});
}

/** The certificate by which the registry trusts the signer's key. */
function writeCertificate(file: string, keyFile: string, { privateKey }: TokenSigner): void {
	writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
	execFileSync('openssl', ['req', '-x509', '-new', '-key', keyFile, '-subj', '/CN=sample', '-days', '30', '-out', file], {
		stdio: 'ignore',
	});
}
