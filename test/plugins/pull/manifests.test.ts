import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptedTypes } from '../../../src/registry/accept.ts';
import { ACCEPT, basic } from '../../support/proxy.ts';
import { ask, assertError, CACHE_MODES, forgetRequests, seen, setUp, tokenFor, upstreamPart } from '../../support/setup.ts';
import { imageOf, type ImageSummary } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { manifest } from './checked-manifest.ts';

/* `/v2/<name>/manifests/<reference>`: the tag is ignored, digests and tags that stand for digests are not. Run with every cache on and off. */

const upstream = await sharedUpstream();
const owner = basic(upstream.keys.owner);

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	test(`with TAGS=ignore, a tag means the release, whatever it says; ${mode}`, async (t) => {
		const setup = await setUp(t, { ...env, TAGS: 'ignore' });
		const rows: [name: string, image: ImageSummary & { repository: string }, authorization?: string][] = [
			['acme/pinned', imageOf(upstream, 'acme/pinned', '1.1.0')],
			['acme/pinned/latest', imageOf(upstream, 'acme/pinned', '1.1.0')],
			['acme/pinned/1.0.0', imageOf(upstream, 'acme/pinned', '1.0.0')],
			['acme/several/latest/db', imageOf(upstream, 'acme/several', '1.1.0', 'db')],
			['acme/multi-arch/1.0.0', imageOf(upstream, 'acme/multi-arch', '1.0.0')],
			['acme/secret', imageOf(upstream, 'acme/secret'), owner],
		];
		for (const [name, image, authorization] of rows) {
			const token = await tokenFor(setup.proxy, name, authorization);
			for (const tag of ['latest', '1.2.0', 'v9', 'main_2']) {
				await t.test(`${name}:${tag}`, async () => {
					forgetRequests(setup);
					const answer = await manifest(setup, name, tag, token);
					assert.equal(answer.headers['docker-content-digest'], image.digest);
					assert.equal(answer.headers['content-type'], image.mediaType);
					const paths = new Set(setup.registry.requests.map(({ url }) => url));
					assert.deepEqual(
						[...paths].filter((path) => path !== `/v2/${image.repository}/manifests/latest`),
						[],
					);
				});
			}
		}
	});

	test(`a digest goes through as it is; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const { proxy } = setup;
		const name = 'acme/multi-arch/1.1.0';
		const image = imageOf(upstream, 'acme/multi-arch', '1.1.0');
		const token = await tokenFor(proxy, name);
		await t.test('an index, then its children', async () => {
			const index = await manifest(setup, name, 'anything', token);
			assert.equal(index.headers['content-type'], 'application/vnd.oci.image.index.v1+json');
			const children = JSON.parse(index.text).manifests as { digest: string; mediaType: string }[];
			assert.deepEqual(
				children.map(({ digest }) => digest),
				image.platforms.map(({ digest }) => digest),
			);
			for (const { digest, mediaType } of children) {
				const child = await manifest(setup, name, digest, token);
				assert.equal(child.headers['docker-content-digest'], digest);
				assert.equal(child.headers['content-type'], mediaType);
			}
		});
		await t.test('with an escaped colon', async () => {
			assert.equal((await manifest(setup, name, image.digest.replace(':', '%3a'), token)).headers['docker-content-digest'], image.digest);
		});
		await t.test('not modified', async () => {
			for (const method of ['GET', 'HEAD']) {
				const answer = await ask(proxy, `/v2/${name}/manifests/${image.digest}`, {
					method,
					token,
					headers: { accept: ACCEPT, 'if-none-match': `"${image.digest}"` },
				});
				assert.deepEqual([answer.status, answer.text], [304, '']);
			}
		});
		const unknown: Record<string, string> = {
			'of another release': imageOf(upstream, 'acme/multi-arch', '1.0.0').digest,
			'of nothing': `sha256:${'0'.repeat(64)}`,
			'of another algorithm': `sha512:${'0'.repeat(128)}`,
		};
		for (const [what, digest] of Object.entries(unknown)) {
			await t.test(`a digest ${what} is not there`, async () => {
				for (const method of ['GET', 'HEAD']) {
					const answer = await ask(proxy, `/v2/${name}/manifests/${digest}`, { method, token, headers: { accept: ACCEPT } });
					// What a registry says of an algorithm that it does not know differs; it is a refusal in any case.
					assert.ok(
						digest.startsWith('sha512') ? answer.status >= 400 && answer.status < 500 : answer.status === 404,
						String(answer.status),
					);
					assert.ok(!JSON.stringify(answer).includes(image.repository));
				}
			});
		}
		await t.test('what is not there is told in the client’s words', async () => {
			const digest = unknown['of nothing']!;
			assert.match(
				assertError(await ask(proxy, `/v2/${name}/manifests/${digest}`, { token }), 404, 'MANIFEST_UNKNOWN'),
				new RegExp(`^${name} .*${digest}`),
			);
		});
	});

	test(`tags that stand for a digest are not ignored; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const { proxy } = setup;
		const signed = imageOf(upstream, 'acme/signed');
		const { fallbackTag, digest: referrer } = signed.referrer!;
		const token = await tokenFor(proxy, ['acme/signed', 'acme/pinned']);
		await t.test('the fallback tag lists what refers to the image', async () => {
			const answer = await manifest(setup, 'acme/signed', fallbackTag, token);
			assert.deepEqual(
				JSON.parse(answer.text).manifests.map(({ digest }: { digest: string }) => digest),
				[referrer],
			);
			assert.equal((await manifest(setup, 'acme/signed', referrer, token)).headers['docker-content-digest'], referrer);
		});
		for (const suffix of ['', '.sig', '.att', '.sbom']) {
			await t.test(`one that is not there is not the image: sha256-…${suffix}`, async () => {
				const tag = `${imageOf(upstream, 'acme/pinned').digest.replace(':', '-')}${suffix}`;
				for (const method of ['GET', 'HEAD']) {
					const answer = await ask(proxy, `/v2/acme/pinned/manifests/${tag}`, { method, token, headers: { accept: ACCEPT } });
					assert.equal(answer.status, 404);
				}
			});
		}
	});

	test(`what the registry sees of a client; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const { proxy, registry } = setup;
		const name = 'acme/signed';
		const token = await tokenFor(proxy, name);
		forgetRequests(setup);
		const hostile = {
			cookie: 'a=b',
			'x-forwarded-for': '192.0.2.1',
			forwarded: 'for=192.0.2.1',
			'x-real-ip': '192.0.2.1',
			'x-http-method-override': 'DELETE',
			origin: 'https://evil.example',
			referer: 'x',
			te: 'trailers',
			'x-registry-auth': 'x',
			connection: 'keep-alive, authorization',
		};
		const answer = await ask(proxy, `/v2/${name}/manifests/latest?ns=bh.cr&x=1`, {
			token,
			headers: { accept: ACCEPT, 'x-request-id': 'my-id.1', ...hostile },
		});
		assert.equal(answer.status, 200);
		assert.equal(answer.headers['x-request-id'], 'my-id.1');
		assert.deepEqual(seen(registry), [`GET /v2/${imageOf(upstream, name).repository}/manifests/latest`]);
		const { headers } = registry.requests[0]!;
		const unexpected = Object.keys(headers).filter(
			(header) => !['host', 'connection', 'accept', 'accept-encoding', 'authorization', 'user-agent', 'x-request-id'].includes(header),
		);
		assert.deepEqual(unexpected, []);
		assert.equal(headers.authorization, `Bearer ${upstreamPart(token)}`);
		assert.equal(headers.accept, acceptedTypes(ACCEPT));
		assert.equal(headers['x-request-id'], 'my-id.1');
		assert.equal(headers.host, new URL(registry.url).host);
	});
}
