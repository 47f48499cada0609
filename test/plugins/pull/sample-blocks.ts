import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { ACCEPT } from '../../support/proxy.ts';
import { ask, type Answer, type Question, type Setup } from '../../support/setup.ts';
import { imageOf, type ImageSummary } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';

/* The blocks of the sample upstream, and what their indexes have: docs/architectures.md. */

const upstream = await sharedUpstream();
export const NOWHERE = `sha256:${'0'.repeat(64)}`;
export const OCI = 'application/vnd.oci.image.index.v1+json';
export const IMAGE = 'application/vnd.oci.image.manifest.v1+json';

/** Asks for what is below a name, accepting what Docker does. */
export const get = ({ proxy }: Pick<Setup, 'proxy'>, name: string, path: string, token: string, question: Question = {}): Promise<Answer> =>
	ask(proxy, `/v2/${name}/${path}`, { token, ...question, headers: { accept: ACCEPT, ...question.headers } });

/** An image of a fleet of a block. */
export type Image = ImageSummary & { repository: string };
/** What an index has of it. */
export type Entry = [platform: string, image: Pick<ImageSummary, 'digest'>];
export const display = (architecture: string, version: string): Image => imageOf(upstream, `acme/display-${architecture}`, version);
export const veiled = (architecture: string): Image => imageOf(upstream, `acme/veiled-${architecture}`);
export const gauge = imageOf(upstream, 'acme/gauge-amd64');
export const gaugeArm = imageOf(upstream, 'acme/gauge-armv7hf');

/** What an index has, and that each entry is of a manifest that is there. */
export async function entriesOf(setup: Setup, name: string, token: string, index: Answer): Promise<[string, string][]> {
	assert.equal(index.status, 200, index.text);
	assert.equal(index.headers['docker-content-digest'], `sha256:${hash('sha256', index.text, 'hex')}`);
	const { mediaType, manifests } = JSON.parse(index.text) as {
		mediaType: string;
		manifests: { digest: string; size: number; mediaType: string; platform: { os: string; architecture: string; variant?: string } }[];
	};
	assert.equal(index.headers['content-type'], mediaType);
	for (const { digest, size, mediaType: type } of manifests) {
		const child = await get(setup, name, `manifests/${digest}`, token);
		assert.deepEqual(
			[child.status, child.text.length, child.headers['content-type'], child.headers['docker-content-digest']],
			[200, size, type, digest],
		);
	}
	return manifests.map(({ digest, platform: { os, architecture, variant } }) => [
		[os, architecture, ...(variant === undefined ? [] : [variant])].join('/'),
		digest,
	]);
}

/** The indexes of the releases 1.1.0 and 1.0.0 of acme/display, and of its fleets' newest, as anybody sees them. */
export const IN_1_1: Entry[] = [
	['linux/amd64', display('amd64', '1.1.0')],
	['linux/arm64/v8', display('aarch64', '1.1.0')],
];
export const IN_1_0: Entry[] = [
	['linux/amd64', display('amd64', '1.0.0')],
	['linux/arm64/v8', display('aarch64', '1.0.0')],
	['linux/arm/v7', display('armv7hf', '1.0.0')],
];
export const TRACKED: Entry[] = [...IN_1_1, IN_1_0[2]!];

/** Commits differ between the fleets: this one is of the fleet for armv7hf. */
export const commit = upstream.fleets['acme/display-armv7hf']!.releases['1.0.0']!.commit;
