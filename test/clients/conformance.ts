import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config.ts';
import { run } from '../support/run.ts';
import { imageOf, startUpstream } from '../upstream/index.ts';
import { built } from './install.ts';
import type { Result } from './report.ts';

const NAME = 'acme/signed';

/**
 * The distribution-spec's own conformance suite, in its read-only mode: all of pull and content discovery. In front of the embedded registry, because docker-registry has no referrers API,
 * and with TAGS=release, because the suite asks for a tag that is not there and would otherwise get the fleet's release: the tag is ignored, as promised.
 *
 * @returns its verdict; what it printed is the report
 */
export async function conformance(): Promise<Result> {
	const upstream = await startUpstream({ registry: 'embedded', referrers: true });
	const app = await buildApp(
		parseConfig({
			PROXY_HOST: '127.0.0.1',
			PROXY_PORT: '0',
			API_URL: upstream.apiUrl,
			REGISTRY_URL: upstream.registryUrl,
			TAGS: 'release',
		}),
	);
	await app.listen({ host: '127.0.0.1', port: 0 });
	const directory = await mkdtemp(join(tmpdir(), 'conformance-'));
	const { digest, platforms } = imageOf(upstream, NAME);
	try {
		const { printed } = await run('/bin/sh', ['-c', `cd ${directory} && ${built('conformance')}`], {
			env: {
				OCI_REGISTRY: `127.0.0.1:${(app.server.address() as AddressInfo).port}`,
				OCI_TLS: 'disabled',
				OCI_REPO1: NAME,
				OCI_API_PUSH: 'false',
				OCI_API_BLOBS_DELETE: 'false',
				OCI_API_MANIFESTS_DELETE: 'false',
				OCI_API_TAGS_DELETE: 'false',
				OCI_RO_DATA_TAGS: upstream.fleets[NAME]!.target!,
				OCI_RO_DATA_MANIFESTS: [...new Set([digest, ...platforms.map((platform) => platform.digest)])].join(' '),
				OCI_RO_DATA_BLOBS: platforms
					.flatMap(({ configDigest, layers }) => [configDigest, ...layers.map((layer) => layer.digest)])
					.join(' '),
				OCI_RO_DATA_REFERRERS: digest,
			},
		});
		return {
			client: 'OCI conformance suite',
			version: 'v0.0.0-20260831232431-97274622c111',
			name: 'pull and content discovery',
			passed: /^OCI Conformance Test: Pass$/m.test(printed),
			printed,
		};
	} finally {
		await app.close();
		await upstream.close();
		await rm(directory, { recursive: true });
	}
}

/** @returns the suite's report without the settings, and without the crash with which it ends when it writes its results of a read-only run */
export function conformanceReport({ version, printed }: Result): string {
	const tree = printed.slice(printed.indexOf('Test results'), printed.indexOf('Configuration:')).trim();
	const table = printed
		.slice(printed.indexOf('API conformance:'), printed.includes('panic:') ? printed.indexOf('panic:') : undefined)
		.trim();
	return `OCI distribution-spec conformance suite ${version}, read-only mode, as run by test/clients/conformance.ts\n\n${tree}\n\n${table}\n`;
}
