import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../support/run.ts';
import type { Client, Pulled } from './client.ts';
import { directoryOf, PACKAGES, type PackageName } from './packages.ts';

/*
 * Clients that are libraries, each called by a small program in libraries/. A program is told the reference as its argument, and KEY, CA and PLATFORM in its
 * environment, where the pull has them; without a CA it speaks plain HTTP. It fetches everything that the image is made of, prints the digests of that, and
 * fails with the library's own words.
 */

/** The case is one that the library has no words for. */
const BROKEN_OFF = 'a layer that breaks off is not taken for whole';

/** @param call the command line, for a directory that is empty at the start of each pull */
function library(
	name: PackageName,
	call: (reference: string, directory: string) => [string, ...string[]],
	more: Partial<Client> = {},
): Client {
	return {
		name,
		version: PACKAGES[name].version,
		async pull({ host, reference, key, ca, platform }): Promise<Pulled> {
			const directory = await mkdtemp(join(tmpdir(), 'pull-'));
			try {
				const [command, ...args] = call(`${host}/${reference}`, directory);
				const outcome = await run(command, args, {
					env: {
						PACKAGES: directoryOf(name),
						PYTHONPATH: directoryOf(name),
						...(key === undefined ? {} : { KEY: key }),
						...(ca === undefined ? {} : { CA: ca, NODE_EXTRA_CA_CERTS: ca, REQUESTS_CA_BUNDLE: ca }),
						...(platform === undefined ? {} : { PLATFORM: platform }),
					},
				});
				return outcome.code === 0 ? { ...outcome, image: outcome.stdout } : outcome;
			} finally {
				await rm(directory, { recursive: true, force: true });
			}
		},
		...more,
	};
}

const program = (path: string): string => fileURLToPath(new URL(`libraries/${path}`, import.meta.url));

export const ociClient = async (): Promise<Client> =>
	library('oci-client', (reference) => [join(directoryOf('oci-client'), 'oci-client-pull'), reference], {
		hides: [BROKEN_OFF, 'a wrong key'],
		noVariant: true,
	});

export const pythonDxf = async (): Promise<Client> =>
	library('python-dxf', (reference) => ['python3', program('python_dxf.py'), reference], {
		onlyTls: true,
		hides: ['a wrong key'],
	});

export const orasOfPython = async (): Promise<Client> =>
	library('oras of Python', (reference) => ['python3', program('oras_of_python.py'), reference], { noIndex: true, hides: ['a wrong key'] });

export const ociRegistryClient = async (): Promise<Client> =>
	library('oci-registry-client', (reference) => [process.execPath, program('oci-registry-client.ts'), reference], { hides: [BROKEN_OFF] });

export const jib = async (): Promise<Client> =>
	library('Jib', (reference, directory) => ['java', '-cp', `${directoryOf('Jib')}/*:${directoryOf('Jib')}`, 'Pull', reference, directory], {
		onlyTls: true,
	});
