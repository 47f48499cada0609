import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ACCEPT, basic } from '../../support/proxy.ts';
import { run } from '../../support/run.ts';
import { ask, setUp, tokenFor, type Answer, type Setup } from '../../support/setup.ts';
import { credentials } from '../../support/skopeo-copy.ts';
import type { Upstream } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { needs } from '../../upstream/tools.ts';

/* Every listed tag can be pulled, and is its own release: for whoever mirrors, updates, or pulls all tags. */

const upstream = await sharedUpstream();
const FLEETS = Object.keys(upstream.fleets).filter((slug) => upstream.fleets[slug]!.isPublic || slug.startsWith('acme/secret'));

/** @returns the digests of the final releases that a version can mean, revisions and variants included */
function digestsBy(slug: string): Record<string, string[]> {
	const digests: Record<string, string[]> = {};
	for (const { version, isFinal, status, images } of Object.values((upstream as Upstream).fleets[slug]!.releases)) {
		if (isFinal && status === 'success') {
			(digests[version.replace(/\+.*/, '')] ??= []).push(...Object.values(images).map(({ summary }) => summary!.digest));
		}
	}
	return digests;
}

/** Checks that a list has every version with one image, each with a digest of its own. */
function assertOwn(found: Record<string, string>, slug: string): void {
	const known = digestsBy(slug);
	for (const [tag, digest] of Object.entries(found)) {
		assert.ok(known[tag]?.includes(digest), `${slug}:${tag} is ${digest}`);
	}
	const isSeveral = slug.includes('several');
	assert.deepEqual(Object.keys(found).sort(), isSeveral ? [] : Object.keys(known).sort());
}

async function get({ proxy }: Setup, name: string, reference: string, authorization: string | undefined): Promise<Answer> {
	return ask(proxy, `/v2/${name}/manifests/${reference}`, {
		token: await tokenFor(proxy, name, authorization),
		headers: { accept: ACCEPT },
	});
}

for (const slug of FLEETS) {
	test(`each tag of ${slug} is its own release, whatever the pages`, async (t) => {
		const setup = await setUp(t);
		const authorization = slug.includes('secret') ? basic(upstream.keys.owner) : undefined;
		const token = await tokenFor(setup.proxy, slug, authorization);
		for (const n of [1, 2, 3, 100]) {
			const found: Record<string, string> = {};
			for (let next: string | undefined = `/v2/${slug}/tags/list?n=${n}`; next !== undefined;) {
				const page = await ask(setup.proxy, next, { token });
				for (const tag of JSON.parse(page.text).tags as string[]) {
					const answer = await ask(setup.proxy, `/v2/${slug}/manifests/${tag}`, { token, headers: { accept: ACCEPT } });
					assert.equal(answer.headers['warning'], undefined);
					const byPath = await get(setup, `${slug}/${tag}`, 'latest', authorization);
					assert.equal(answer.headers['docker-content-digest'], byPath.headers['docker-content-digest']);
					found[tag] = `sha256:${hash('sha256', answer.text, 'hex')}`;
				}
				next = /^<(.+)>; rel="next"$/.exec(String(page.headers['link'] ?? ''))?.[1];
			}
			assertOwn(found, slug);
		}
	});
}

/** What Flux does: all pages, then HEAD of each tag. */
for (const [slug, key] of [
	['balenalabs/browser-aarch64', undefined],
	['acme/secret', upstream.keys.owner],
] as const) {
	test(`HEAD of each listed tag of ${slug} says what the release in the path does`, async (t) => {
		const { proxy } = await setUp(t);
		const authorization = key && basic(key);
		const token = await tokenFor(proxy, slug, authorization);
		const tags: string[] = [];
		for (let next: string | undefined = `/v2/${slug}/tags/list?n=2`; next !== undefined;) {
			const page = await ask(proxy, next, { token });
			tags.push(...(JSON.parse(page.text).tags as string[]));
			next = /^<(.+)>; rel="next"$/.exec(String(page.headers['link'] ?? ''))?.[1];
		}
		const digestOf = async (name: string, reference: string, of: string): Promise<string> => {
			const { status, headers } = await ask(proxy, `/v2/${name}/manifests/${reference}`, {
				method: 'HEAD',
				token: of,
				headers: { accept: ACCEPT },
			});
			assert.equal(status, 200);
			return String(headers['docker-content-digest']);
		};
		const [byTag, byPath]: Record<string, string>[] = [{}, {}];
		for (const tag of tags) {
			byTag![tag] = await digestOf(slug, tag, token);
			byPath![tag] = await digestOf(`${slug}/${tag}`, 'latest', await tokenFor(proxy, `${slug}/${tag}`, authorization));
		}
		assert.deepEqual(byTag, byPath);
		assertOwn(byTag!, slug);
	});
}

describe('skopeo sync mirrors each release as itself', needs('skopeo'), () => {
	for (const [slug, key] of [
		['balenalabs/browser-aarch64', undefined],
		['acme/multi-arch', undefined],
		['acme/secret', upstream.keys.owner],
	] as const) {
		test(slug, async (t) => {
			const { proxy } = await setUp(t);
			const directory = await mkdtemp(join(tmpdir(), 'mirror-'));
			t.after(() => rm(directory, { recursive: true }));
			const reference = `${proxy.host}/${slug}`;
			const { code, printed } = await run('skopeo', [
				'sync',
				'--all',
				'--src-tls-verify=false',
				...credentials(key, 'src-'),
				'--src',
				'docker',
				'--dest',
				'dir',
				reference,
				directory,
			]);
			assert.equal(code, 0, printed);
			const name = slug.split('/')[1]!;
			const mirrored = (await readdir(directory, { recursive: true }))
				.filter((path) => path.endsWith('manifest.json') && !path.includes('.manifest.json'))
				.map(async (path): Promise<[string, string]> => [
					new RegExp(`${name}:([^/]+)/`).exec(path)?.[1] ?? path,
					`sha256:${hash('sha256', await readFile(join(directory, path)), 'hex')}`,
				]);
			assertOwn(Object.fromEntries(await Promise.all(mirrored)), slug);
		});
	}
});
