import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { built } from '../clients/install.ts';
import { writeSelfSigned } from '../support/self-signed.ts';
import type { RepositoryContent } from './image.ts';
import { startObjectStorage, type ObjectStorage } from './object-storage.ts';
import { startRegistryProcess } from './registry-process.ts';
import type { TokenSigner } from './tokens.ts';
import { needs } from './tools.ts';

/** Today's distribution, built with the clients, which takes minutes. */
const PROGRAM = built('distribution');

/** Options for a test that needs it. Until it is built, nothing can be run, with CI=true neither: `npm run test:clients` builds it, and then runs what needs it. */
export const needsDistribution = (): { skip: string | false } =>
	existsSync(PROGRAM) ? needs('openssl') : { skip: 'distribution 3 is not built: npm run test:clients does that, and runs this' };

export interface Distribution {
	url: string;
	/** PEM file: who has signed the certificate of the registry and of its storage. */
	caFile: string;
	storage: ObjectStorage;
	/** Starts it anew at the same port, with the keys that the signer has by now: it reads them at its start only. */
	restart(): Promise<void>;
}

/**
 * Starts distribution 3 as the balena cloud runs it: TLS with HTTP/2, tokens whose keys are in a JWKS, and blobs in object storage behind signed redirects.
 *
 * @param directory for its files
 * @param realm URL of the token endpoint for its challenges
 */
export async function startDistribution(
	directory: string,
	realm: string,
	signer: TokenSigner,
	images: ReadonlyMap<string, RepositoryContent>,
): Promise<Distribution> {
	const file = (name: string): string => join(directory, name);
	const [caFile, key, jwks] = [file('cert.pem'), file('key.pem'), file('jwks.json')];
	await writeSelfSigned({ cert: caFile, key }, 'IP:127.0.0.1,DNS:localhost');
	const ca = readFileSync(caFile, 'utf8');
	const storage = await startObjectStorage(layOut(images), { cert: ca, key: readFileSync(key, 'utf8') });
	const { url: regionendpoint, bucket, accessKey: accesskey, secretKey: secretkey, region } = storage;
	const { issuer, service } = signer;

	const start = (port?: number): ReturnType<typeof startRegistryProcess> => {
		const { keyId: kid, publicKey } = signer;
		writeFileSync(jwks, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' }] }));
		return startRegistryProcess(
			{
				program: PROGRAM,
				configFile: file('distribution.yml'),
				ca,
				// No span is sent anywhere.
				env: {
					SSL_CERT_FILE: caFile,
					AWS_CA_BUNDLE: caFile,
					OTEL_TRACES_EXPORTER: 'none',
					OTEL_METRICS_EXPORTER: 'none',
					OTEL_LOGS_EXPORTER: 'none',
				},
				configuration: (chosen) => ({
					version: 0.1,
					log: { level: 'error', accesslog: { disabled: true } },
					storage: {
						s3: { region, regionendpoint, bucket, accesskey, secretkey, forcepathstyle: true },
						maintenance: { uploadpurging: { enabled: false } },
					},
					http: { addr: `127.0.0.1:${chosen}`, secret: 'sample', tls: { certificate: caFile, key } },
					auth: { token: { realm, service, issuer, jwks, signingalgorithms: ['ES256'] } },
				}),
			},
			port,
		);
	};
	let registry = await start();
	return {
		url: registry.url,
		caFile,
		storage,
		async restart() {
			await registry.close();
			registry = await start(registry.port);
		},
	};
}

/** @returns the objects of repositories, by their keys: registry/storage/paths.go of distribution */
function layOut(repositories: ReadonlyMap<string, RepositoryContent>): Map<string, Buffer> {
	const root = 'docker/registry/v2';
	const objects = new Map<string, Buffer>();
	const pathOf = (digest: string): string => digest.replace(':', '/');
	const addBlob = (digest: string, bytes: Buffer): void => {
		const [algorithm, hex = ''] = digest.split(':');
		objects.set(`${root}/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}/data`, bytes);
	};
	for (const [name, { blobs, manifests, tags }] of repositories) {
		const own = `${root}/repositories/${name}`;
		const link = (path: string, digest: string): void => void objects.set(`${own}/${path}/link`, Buffer.from(digest));
		for (const [digest, bytes] of blobs) {
			addBlob(digest, bytes);
			link(`_layers/${pathOf(digest)}`, digest);
		}
		for (const { digest, bytes } of manifests) {
			addBlob(digest, bytes);
			link(`_manifests/revisions/${pathOf(digest)}`, digest);
		}
		for (const [tag, digest] of Object.entries(tags)) {
			link(`_manifests/tags/${tag}/current`, digest);
			link(`_manifests/tags/${tag}/index/${pathOf(digest)}`, digest);
		}
	}
	return objects;
}
