import { writeFile } from 'node:fs/promises';
import { CASES } from './cases.ts';
import { NotRun, type Client } from './client.ts';
import { conformance, conformanceReport } from './conformance.ts';
import { buildah, crane, oras, podman, regctl, skopeo } from './command-clients.ts';
import { buildkit, cri1, cri2, ctr1, ctr2, dockerClassic, dockerContainerd } from './daemon-clients.ts';
import { EXTRAS } from './extras.ts';
import { install, NOT_RUN } from './install.ts';
import { document, type Result } from './report.ts';
import { startServers, type Servers } from './servers.ts';

/*
 * `npm run test:clients [-- <part of a client's name>]`: real clients against the service in front of the real registry. Prints the matrix, and writes it to docs/clients.md
 * where all clients were run.
 */

const only = process.argv[2];

await install();
const servers = await startServers();
const registries = [{ host: servers.plain }, { host: servers.redirecting }, { host: servers.behindNginx, ca: servers.ca }, { host: servers.ownTls, ca: servers.ca }];
const clients: [name: string, start: () => Promise<Client>][] = [
	['Docker Engine', dockerClassic],
	['Docker Engine, containerd store', dockerContainerd],
	['containerd 1, ctr', ctr1],
	['containerd 1, CRI', cri1],
	['containerd 2, ctr', ctr2],
	['containerd 2, CRI', cri2],
	['BuildKit', () => buildkit(registries)],
	['podman', podman],
	['buildah', buildah],
	['skopeo', skopeo],
	['crane', crane],
	['oras', oras],
	['regctl', regctl],
];

const results: Result[] = [];
const notRun = [...NOT_RUN];
for (const [name, start] of clients.filter(([name]) => only === undefined || name.includes(only))) {
	try {
		const client = await start();
		try {
			await runCases(client, servers);
		} finally {
			await client.stop?.();
		}
	} catch (error) {
		if (!(error instanceof NotRun)) {
			throw error;
		}
		notRun.push({ client: name, why: error.message });
	}
}
if (only === undefined || only === 'extras') {
	for (const extra of EXTRAS) {
		record(await extra(servers));
	}
	const suite = await conformance();
	record(suite);
	await writeFile('docs/conformance.txt', conformanceReport(suite));
}
await servers.stop();

if (only === undefined) {
	await writeFile('docs/clients.md', document(results, notRun));
}
for (const { client, why } of notRun) {
	console.log(`not run: ${client}: ${why}`);
}
const failed = results.filter(({ passed }) => !passed);
console.log(`${results.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 ? 1 : 0;

async function runCases(client: Client, servers: Servers): Promise<void> {
	for (const { name, pull, sentence } of CASES.filter(({ suits }) => suits?.(client) ?? true)) {
		const { code, printed } = await client.pull(pull(servers));
		const isSaid = sentence?.test(printed.replace(/\s+/g, ' '));
		record({ client: client.name, version: client.version, name, passed: sentence === undefined ? code === 0 : code !== 0, isSaid, printed });
	}
	if (client.login !== undefined) {
		const good = await client.login(servers.plain, servers.upstream.keys.owner);
		record({ client: client.name, version: client.version, name: 'login', passed: good.code === 0, printed: good.printed });
		const bad = await client.login(servers.plain, 'wrong');
		record({ client: client.name, version: client.version, name: 'login with a wrong key', passed: bad.code !== 0, isSaid: bad.printed.includes('the login was refused'), printed: bad.printed });
	}
}

function record(result: Result): void {
	results.push(result);
	const last = result.printed.trim().split('\n').at(-1) ?? '';
	console.log(`${result.passed ? 'pass' : 'FAIL'}  ${result.client} ${result.version}  ${result.name}${result.isSaid === undefined ? '' : result.isSaid ? '  (says why)' : '  (hides why)'}  ${last.slice(0, 160)}`);
	if (!result.passed) {
		console.log(result.printed.slice(-1500));
	}
}
