import { readFile, writeFile } from 'node:fs/promises';
import type { Outcome } from '../support/run.ts';
import { imageOf } from '../upstream/index.ts';
import { renovate, secretsAtHome, skopeoSync } from './automation.ts';
import { balenaCli, balenaCompose, dockerProgress } from './balena-clients.ts';
import { BUILT_TESTS } from './built-tests.ts';
import { CASES, isImage, type Case } from './cases.ts';
import { throughCache } from './caches.ts';
import { NotRun, versionOf, type Client, type Pulled } from './client.ts';
import { conformance, conformanceReport } from './conformance.ts';
import { buildah, containersImage, crane, oras, podman, regctl, skopeo } from './command-clients.ts';
import { buildkit, cri1, cri2, ctr1, ctr2, balenaEngine, dockerClassic, dockerContainerd } from './daemon-clients.ts';
import { compose, manifestInspect, resolvedDigests } from './docker-commands.ts';
import { EXTRAS } from './extras.ts';
import { crictl, nerdctl } from './found-clients.ts';
import { built, install, NOT_RUN, versionInSources } from './install.ts';
import { jib, ociClient, ociRegistryClient, orasOfPython, pythonDxf } from './libraries.ts';
import { kubelet, severalSecrets } from './kubelet.ts';
import { caseByCase, kubeletIn, matrix, withKubelet, type Result } from './report.ts';
import { startServers, type Servers } from './servers.ts';

/*
 * `npm run test:clients [-- <parts of clients' names, with commas>]`: real clients against the service in front of the real registry. Prints the matrix, and writes it to docs/clients.md
 * and docs/reports/ where all clients were run.
 */

const only = process.argv[2]?.split(',');

const servers = await startServers();
const registries = [
	{ host: servers.plain },
	{ host: servers.redirecting },
	{ host: servers.breaking },
	{ host: servers.behindNginx, ca: servers.ca },
	{ host: servers.ownTls, ca: servers.ca },
];
const key = servers.upstream.keys.owner;
const clients: [name: string, start: () => Promise<Client>, needs?: string[]][] = [
	['Docker Engine', dockerClassic],
	['Docker Engine, containerd store', dockerContainerd, ['dockerd', 'containerd']],
	['containerd 1, ctr', ctr1],
	['containerd 1, CRI', cri1],
	['containerd 2, ctr', ctr2, ['containerd', 'ctr']],
	['containerd 2, CRI', cri2, ['containerd', 'ctr']],
	['nerdctl', nerdctl, ['containerd', 'ctr']],
	['crictl', crictl, ['containerd', 'ctr']],
	['BuildKit', () => buildkit(registries), ['buildkitd', 'buildctl']],
	['podman', podman],
	['buildah', buildah],
	['skopeo', skopeo],
	['containers/image', containersImage, ['containers-image']],
	['crane', crane, ['crane']],
	['oras', oras, ['oras']],
	['regctl', regctl, ['regctl']],
	['oci-client', ociClient, ['oci-client']],
	['python-dxf', pythonDxf, ['python-dxf']],
	['oras of Python', orasOfPython, ['oras of Python']],
	['oci-registry-client', ociRegistryClient, ['oci-registry-client']],
	['Jib', jib, ['Jib']],
	['docker-progress', dockerProgress, ['balena libraries']],
	['@balena/compose', balenaCompose, ['balena libraries']],
	['balena CLI, image:', () => balenaCli('image:, secrets as JSON'), ['balena CLI']],
	['balena CLI, FROM', () => balenaCli('FROM, secrets as YAML'), ['balena CLI']],
	['balena-engine', balenaEngine],
	['docker manifest inspect', manifestInspect],
	['docker-compose', compose],
	[
		'docker-registry as a cache',
		async () => throughCache('docker-registry as a cache', 'docker-registry', await versionOf('docker-registry', '--version'), key),
	],
	[
		'distribution 3 as a cache',
		() => throughCache('distribution 3 as a cache', built('distribution'), versionInSources('distribution'), key),
		['distribution'],
	],
];

/** Takes minutes to build, and is run by its name only: `npm run test:kubelet`. */
const KUBELET = 'kubelet';
const KUBELET_NEEDS = ['Kubernetes', 'containerd', 'containerd-shim-runc-v2', 'ctr'];
clients.push([KUBELET, kubelet, KUBELET_NEEDS]);

/** What is tried, and is no pull of the cases'. */
const others: [name: string, run: (servers: Servers) => Promise<Result[]>, needs?: string[]][] = [
	...EXTRAS,
	['skopeo sync', skopeoSync],
	['docker-compose config --resolve-image-digests', resolvedDigests],
	['Renovate', renovate, ['Renovate']],
	['balena CLI, home directory', secretsAtHome, ['balena CLI']],
	['OCI conformance suite', conformanceWithReport, ['conformance']],
	...BUILT_TESTS,
	[`${KUBELET}, pull secrets`, severalSecrets, KUBELET_NEEDS],
];
const isWanted = ([name]: [name: string, ...rest: unknown[]]): boolean =>
	only?.some((part) => name.includes(part)) ?? !name.startsWith(KUBELET);
const wanted = [...clients, ...others].filter(isWanted).flatMap(([, , needs = []]) => needs);
const notInstalled = await install(new Set(wanted));

const results: Result[] = [];
const notRun = [...NOT_RUN];
for (const [name, start, needs] of clients.filter(isWanted)) {
	await unlessNotRun(name, needs, async () => {
		const client = await start();
		try {
			await runCases(client, servers);
		} finally {
			await client.stop?.();
		}
	});
}
for (const [name, tryIt, needs] of others.filter(isWanted)) {
	await unlessNotRun(name, needs, async () => (await tryIt(servers)).forEach(add));
}
await servers.stop();

const page = await readFile('docs/clients.md', 'utf8');
if (only?.join() === KUBELET) {
	await writeFile('docs/clients.md', withKubelet(page, results));
}
if (only === undefined) {
	await writeFile('docs/clients.md', matrix(results, notRun) + kubeletIn(page));
	await writeFile('docs/reports/clients.md', caseByCase(results));
}
for (const { client, why } of notRun) {
	console.log(`not run: ${client}: ${why}`);
}
const failed = results.filter(({ passed }) => !passed);
console.log(`${results.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 ? 1 : 0;

/** Runs what can be run, and notes what cannot be, with its reason. */
async function unlessNotRun(client: string, needs: string[] = [], tryIt: () => Promise<void>): Promise<void> {
	const why = needs.map((name) => notInstalled.get(name)).find((reason) => reason !== undefined);
	try {
		if (why !== undefined) {
			throw new NotRun(why);
		}
		await tryIt();
	} catch (error) {
		if (!(error instanceof NotRun)) {
			throw error;
		}
		notRun.push({ client, why: error.message });
	}
}

async function conformanceWithReport(): Promise<Result[]> {
	const suite = await conformance();
	await writeFile('docs/reports/conformance.txt', conformanceReport(suite));
	return [suite];
}

async function runCases(client: Client, servers: Servers): Promise<void> {
	for (const one of CASES.filter(({ name, suits }) => (suits?.(client) ?? true) && (client.tries?.(name) ?? true))) {
		Object.assign(servers.counts, { stored: 0, brokenOff: 0, ranges: 0 });
		const index = await one.index?.(servers);
		const pull =
			client.onlyTls === true ? { ...one.pull({ ...servers, ...servers.withTls }, index), ca: servers.ca } : one.pull(servers, index);
		const outcome = await client.pull(pull);
		record(
			client,
			one.name,
			one.sentence === undefined ? whatIsWrong(one, outcome, servers, pull.platform, index) : undefined,
			outcome,
			one.sentence,
		);
	}
	if (client.login !== undefined) {
		const good = await client.login(servers.plain, servers.upstream.keys.owner);
		record(client, 'login', good.code === 0 ? undefined : 'it failed', good);
		record(client, 'login with a wrong key', undefined, await client.login(servers.plain, 'wrong'), /the login was refused/);
	}
}

/** @returns why a pull that had to succeed did not; undefined where it did */
function whatIsWrong(
	{ image, needs = [] }: Case,
	{ code, image: came = '' }: Pulled,
	{ upstream, counts }: Servers,
	platform: string | undefined,
	index: string | undefined,
): string | undefined {
	if (code !== 0) {
		return 'it failed';
	}
	const missing = needs.filter((what) => counts[what] === 0);
	const isWhole = index !== undefined && came.includes(index.replace('sha256:', ''));
	return !isWhole && !isImage(came, imageOf(upstream, ...image!), platform)
		? `another image came: ${came.slice(0, 300)}`
		: missing.length > 0
			? `nothing was ${missing.join(', ')}`
			: undefined;
}

/**
 * @param wrong what is wrong with an outcome that had to be good
 * @param sentence what had to be said, of an outcome that had to be bad
 */
function record(
	{ name: client, version, hides = [] }: Client,
	name: string,
	wrong: string | undefined,
	{ code, printed }: Outcome,
	sentence?: RegExp,
): void {
	const isSaid = sentence?.test(printed.replace(/\s+/g, ' '));
	const reason =
		wrong ??
		(sentence === undefined
			? undefined
			: code === 0
				? 'it succeeded'
				: isSaid === hides.includes(name)
					? isSaid
						? 'it says why, which it was not known to'
						: 'it does not say why'
					: undefined);
	add({ client, version, name, passed: reason === undefined, isSaid, reason, printed: lineOf(printed, sentence), output: printed });
}

/** @returns the line with the sentence, or else the last one */
function lineOf(printed: string, sentence: RegExp | undefined): string {
	const lines = printed.split('\n').filter((line) => line.trim() !== '');
	return lines.find((line) => sentence?.test(line)) ?? lines.at(-1) ?? '';
}

function add(result: Result): void {
	results.push(result);
	console.log(
		`${result.passed ? 'pass' : 'FAIL'}  ${result.client} ${result.version}  ${result.name}${result.isSaid === undefined ? '' : result.isSaid ? '  (says why)' : '  (hides why)'}  ${result.reason ?? result.printed.slice(-160)}`,
	);
	if (!result.passed) {
		console.log(result.output?.slice(-1500) ?? '');
	}
}
