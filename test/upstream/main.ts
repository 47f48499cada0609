import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debuglog } from 'node:util';
import { contractFleets } from '../contract/contract.ts';
import { startApi, type RegistryControl } from './api.ts';
import { describe, type Upstream } from './describe.ts';
import { startDistribution, type Distribution } from './distribution.ts';
import { startDockerRegistry } from './docker-registry.ts';
import { serveEmbeddedRegistry } from './embedded-registry.ts';
import { repositoryOf, sampleFleets, type SampleFleet } from './fleets.ts';
import { buildImage, type RepositoryContent } from './image.ts';
import { listen } from './listen.ts';
import { addMany, fleetsOfMany } from './many-releases.ts';
import { pushAll } from './push.ts';
import { seed } from './seed.ts';
import { createTokenSigner, type TokenSigner } from './tokens.ts';

/*
 * The process in which the stand-in runs. It is one of its own because PineJS keeps its state in its module, writes to the console and needs memory,
 * and because a process that ends takes everything with it. `index.ts` starts it and reads one message; it ends with its parent.
 */

export interface MainOptions {
	registry: Upstream['registry'];
	/** Where the registry keeps its storage; by default a directory that is removed at the end. */
	directory?: string;
	apiPort?: number;
	registryPort?: number;
	/** Adds `acme/large`, whose layer is 100 MB, or as many MB as are said. */
	large?: boolean | number;
	/** Whether the embedded registry has the referrers API, as distribution has not. */
	referrers?: boolean;
	/** Has the fleets of test/contract instead of the sample ones; nothing of them can be pulled. */
	contract?: boolean;
	/** Adds a fleet of so many releases for each number, `acme/many-<number>`. */
	many?: number[];
}

export type MainMessage = { upstream: Upstream } | { error: string };

const ISSUER = 'api.balena.example';
const SERVICE = 'registry2.balena.example';

async function start({
	registry,
	directory,
	apiPort,
	registryPort,
	large = false,
	contract = false,
	many = [],
	referrers = false,
}: MainOptions): Promise<Upstream> {
	const apiServer = await listen(apiPort);
	const realm = `${apiServer.url}/auth/v1/token`;
	const signer = createTokenSigner(ISSUER, SERVICE);
	const fleets = contract ? contractFleets() : [...sampleFleets({ withLarge: large !== false }), ...fleetsOfMany(many)];
	const images = contract ? new Map<string, RepositoryContent>() : buildImages(fleets, typeof large === 'number' ? large : undefined);

	let distribution: Distribution | undefined;
	const startRegistry = async (): Promise<string> => {
		switch (registry) {
			case 'embedded': {
				const embedded = await listen(registryPort);
				serveEmbeddedRegistry(embedded.server, images, realm, signer, referrers);
				return embedded.url;
			}
			case 'docker-registry':
				return await startAndFill(directory ?? temporaryDirectory(), realm, signer, images);
			case 'distribution':
				distribution = await startDistribution(directory ?? temporaryDirectory(), realm, signer, images);
				return distribution.url;
		}
	};
	const control: RegistryControl = {
		async rotateKeys() {
			signer.rotate();
			await distribution?.restart();
		},
		followed: () => distribution?.storage.followed ?? [],
	};
	const [api, registryUrl] = await Promise.all([startApi(apiServer.server, signer, control), startRegistry()]);
	await seed(api.odata.sql, fleets, images, SERVICE);
	if (many.length > 0) {
		await addMany(api.odata.sql, many, SERVICE);
	}
	return describe(fleets, images, { apiUrl: apiServer.url, registryUrl, service: SERVICE, registry, caFile: distribution?.caFile });
}

/** Releases that are still building have no image yet. */
function buildImages(fleets: SampleFleet[], largeMegabytes: number | undefined): Map<string, RepositoryContent> {
	const images = new Map<string, RepositoryContent>();
	for (const { slug, releases } of fleets) {
		for (const { rawVersion, services, packaging, architecture } of releases.filter(({ status }) => status !== 'running')) {
			for (const service of services) {
				const name = `${slug} ${rawVersion} ${service}`;
				images.set(repositoryOf(slug, rawVersion, service), buildImage(name, packaging, largeMegabytes, architecture));
			}
		}
	}
	return images;
}

async function startAndFill(
	directory: string,
	realm: string,
	signer: TokenSigner,
	images: Map<string, RepositoryContent>,
): Promise<string> {
	const { url } = await startDockerRegistry(directory, realm, signer);
	await pushAll(url, images, (name) => signer.sign([{ type: 'repository', name, actions: ['pull', 'push'] }]));
	return url;
}

function temporaryDirectory(): string {
	const directory = mkdtempSync(join(tmpdir(), 'sample-upstream-'));
	process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
	return directory;
}

// PineJS reports every refused query at length: shown with NODE_DEBUG=upstream only.
const log = debuglog('upstream');
Object.assign(console, { log, info: log, warn: log, error: log });

// The parent is gone, or has closed the channel: the registry and the directory go with this process.
process.on('disconnect', () => process.exit());
process.on('SIGTERM', () => process.exit());
// Ctrl-C reaches this process together with its parent, which may still need it while it stops.
process.on('SIGINT', () => undefined);

const send = (message: MainMessage): void => void process.send!(message);
start(JSON.parse(process.argv[2]!) as MainOptions).then(
	(upstream) => send({ upstream }),
	(error: unknown) => send({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
);
