import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, test, type TestContext } from 'node:test';
import { ACCEPT, basic, startProxy } from '../../support/proxy.ts';
import { odata } from '../../support/release-answer.ts';
import {
	ask,
	assertError,
	CACHE_MODES,
	CACHES_OFF,
	faultAt,
	forgetRequests,
	seen,
	setUp,
	tokenFor,
	type Answer,
	type Question,
	type Setup,
} from '../../support/setup.ts';
import { imageOf, type ImageSummary } from '../../upstream/index.ts';
import type { Fault } from '../../upstream/relay.ts';
import { sharedUpstream } from '../../upstream/shared.ts';

/* Names that stand for images of several fleets: docs/architectures.md. */

const upstream = await sharedUpstream();
const owner = basic(upstream.keys.owner);
const NOWHERE = `sha256:${'0'.repeat(64)}`;
const OCI = 'application/vnd.oci.image.index.v1+json';
const DOCKER = 'application/vnd.docker.distribution.manifest.list.v2+json';
const IMAGE = 'application/vnd.oci.image.manifest.v1+json';

const get = ({ proxy }: Pick<Setup, 'proxy'>, name: string, path: string, token: string, question: Question = {}): Promise<Answer> =>
	ask(proxy, `/v2/${name}/${path}`, { token, ...question, headers: { accept: ACCEPT, ...question.headers } });

type Image = ImageSummary & { repository: string };
type Entry = [platform: string, image: Pick<ImageSummary, 'digest'>];
const display = (architecture: string, version: string): Image => imageOf(upstream, `acme/display-${architecture}`, version);
const veiled = (architecture: string): Image => imageOf(upstream, `acme/veiled-${architecture}`);
const part = (architecture: string, service: string): Image => imageOf(upstream, `acme/several-parts-${architecture}`, '1.0.0', service);
const gauge = imageOf(upstream, 'acme/gauge-amd64');
const gaugeArm = imageOf(upstream, 'acme/gauge-armv7hf');

/** What an index has, and that each entry is of a manifest that is there. */
async function entriesOf(setup: Setup, name: string, token: string, index: Answer): Promise<[string, string][]> {
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

const IN_1_1: Entry[] = [
	['linux/amd64', display('amd64', '1.1.0')],
	['linux/arm64/v8', display('aarch64', '1.1.0')],
];
const IN_1_0: Entry[] = [
	['linux/amd64', display('amd64', '1.0.0')],
	['linux/arm64/v8', display('aarch64', '1.0.0')],
	['linux/arm/v7', display('armv7hf', '1.0.0')],
];
const TRACKED: Entry[] = [...IN_1_1, IN_1_0[2]!];
const RPI: Entry = ['linux/arm/v6', display('rpi', '1.0.0')];
const commit = upstream.fleets['acme/display-armv7hf']!.releases['1.0.0']!.commit;

const INDEXES: [name: string, entries: Entry[], authorization?: string][] = [
	['acme/display', TRACKED],
	['acme/display/latest', TRACKED],
	['acme/display/1.1.0', IN_1_1],
	['acme/display/v1.1', IN_1_1],
	['acme/display/1.0.0', IN_1_0],
	['acme/display/1.0.0/main', IN_1_0],
	['acme/display/1', [...IN_1_1, IN_1_0[2]!]],
	// Commits differ between the fleets.
	[`acme/display/${commit}`, [IN_1_0[2]!]],
	['acme/display', [...TRACKED, RPI], owner],
	['acme/display/1.0.0', [...IN_1_0, RPI], owner],
	['acme/display/1.1.0', IN_1_1, owner],
	[
		'acme/veiled',
		[
			['linux/amd64', veiled('amd64')],
			['linux/arm64/v8', veiled('aarch64')],
		],
		owner,
	],
	// An index gives its own entries.
	[
		'acme/gauge',
		[
			['linux/amd64', gauge.platforms[0]!],
			['linux/arm64', gauge.platforms[1]!],
			['linux/arm/v7', gaugeArm],
		],
	],
	[
		'acme/several-parts/1.0.0/db',
		[
			['linux/amd64', part('amd64', 'db')],
			['linux/arm64/v8', part('aarch64', 'db')],
		],
	],
];

const SENTENCES: [reference: string, code: string, sentence: RegExp, authorization?: string][] = [
	['acme/display/9.9.9', 'NAME_UNKNOWN', /^acme\/display has no release 9\.9\.9; its latest is 1\.1\.0$/],
	['acme/display/1.0.1', 'NAME_UNKNOWN', /^acme\/display has no release 1\.0\.1; its latest is 1\.1\.0, and 1\.0\.0 exists$/],
	['acme/several-parts', 'NAME_UNKNOWN', /several services: db, main; pull one of them, as in acme\/several-parts\/latest\/db$/],
	['acme/several-parts/1.0.0/nothing', 'NAME_UNKNOWN', /has no service nothing; it has: db, main/],
	['acme/display/aarch64', 'NAME_UNKNOWN', /^there is no public fleet acme\/display; there are acme\/display-aarch64, /],
	['acme/display:aarch64', 'MANIFEST_UNKNOWN', /^there is no public fleet acme\/display; there are acme\/display-aarch64, /],
	['acme/display-arm64', 'NAME_UNKNOWN', /^there is no public fleet acme\/display-arm64; there are /],
	['acme/veiled', 'NAME_UNKNOWN', /^there is no public fleet acme\/veiled; if it is private, log in first/],
	['acme/veiled/1.0.0', 'NAME_UNKNOWN', /^there is no public fleet acme\/veiled; if it is private, log in first/],
	[
		'acme/veiled',
		'NAME_UNKNOWN',
		/^there is no fleet acme\/veiled that this login may pull from; check the name/,
		basic(upstream.keys.stranger),
	],
];

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	describe(`the index of a block; ${mode}`, () => {
		for (const [name, entries, authorization] of INDEXES) {
			test(`${name}${authorization === undefined ? '' : ', with a key'}`, async (t) => {
				const setup = await setUp(t, env);
				const token = await tokenFor(setup.proxy, name, authorization);
				const index = await get(setup, name, 'manifests/latest', token);
				assert.deepEqual(
					await entriesOf(setup, name, token, index),
					entries.map(([platform, { digest }]) => [platform, digest]),
				);
				const digest = String(index.headers['docker-content-digest']);
				const [again, head, same, changed] = [
					await get(setup, name, `manifests/${digest}`, token),
					await get(setup, name, 'manifests/latest', token, { method: 'HEAD' }),
					await get(setup, name, 'manifests/latest', token, { headers: { 'if-none-match': `"${digest}"` } }),
					await get(setup, name, 'manifests/latest', token, { headers: { 'if-none-match': `"${NOWHERE}"` } }),
				];
				assert.equal(again.text, index.text);
				assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', String(index.text.length)]);
				assert.equal(head.headers['docker-content-digest'], digest);
				assert.deepEqual([same.status, same.text, changed.status], [304, '', 200]);
			});
		}

		test('all that a pull asks for by digest, each from a replica that never saw the index', async (t) => {
			const first = await setUp(t, env);
			for (const [name, images, authorization] of [
				['acme/display', [display('amd64', '1.1.0'), display('aarch64', '1.1.0'), display('armv7hf', '1.0.0')]],
				['acme/display/1.0.0', [display('amd64', '1.0.0'), display('armv7hf', '1.0.0')]],
				['acme/gauge', [gauge, gaugeArm]],
				['acme/veiled', [veiled('amd64'), veiled('aarch64')], owner],
			] as [string, Image[], string?][]) {
				const secret = { TOKEN_SECRET: 'correct-horse-battery-staple-correct-horse' };
				const token = await tokenFor(first.proxy, name, authorization);
				const index = await get(first, name, 'manifests/latest', token);
				const paths = images.flatMap(({ digest, platforms }) => [
					`manifests/${digest}`,
					...platforms.flatMap((platform) => [
						`manifests/${platform.digest}`,
						...[platform.configDigest, ...platform.layers.map((layer) => layer.digest)].map((blob) => `blobs/${blob}`),
					]),
				]);
				for (const path of [`manifests/${String(index.headers['docker-content-digest'])}`, ...paths]) {
					const proxy = await startProxy(t, upstream, { ...env, ...secret });
					const answer = await get({ proxy }, name, path, token);
					assert.equal(answer.status, 200, `${name} ${path}: ${answer.text}`);
					assert.ok(path.endsWith(String(answer.headers['docker-content-digest'])));
				}
			}
		});

		test('the index of a release that a tag names, by its digest from a replica that never saw it', async (t) => {
			const secret = { TOKEN_SECRET: 'correct-horse-battery-staple-correct-horse' };
			for (const [name, tag, authorization] of [
				['acme/display', '1.0.0'],
				['acme/veiled', '1.0.0', owner],
			] as [string, string, string?][]) {
				const proxies = [await startProxy(t, upstream, { ...env, ...secret }), await startProxy(t, upstream, { ...env, ...secret })];
				const token = await tokenFor(proxies[0]!, name, authorization);
				const index = await get({ proxy: proxies[0]! }, name, `manifests/${tag}`, token);
				assert.equal(index.status, 200, index.text);
				const again = await get({ proxy: proxies[1]! }, name, `manifests/${String(index.headers['docker-content-digest'])}`, token);
				assert.deepEqual([again.status, again.text], [200, index.text]);
				const nowhere = await get({ proxy: proxies[1]! }, name, `manifests/${NOWHERE}`, token);
				assertError(nowhere, 404, 'MANIFEST_UNKNOWN');
			}
		});

		test('what cannot be pulled, and why', async (t) => {
			const setup = await setUp(t, env);
			for (const [reference, code, sentence, authorization] of SENTENCES) {
				await t.test(reference, async () => {
					const [name, tag = 'latest'] = reference.split(':') as [string, string?];
					const answer = await get(setup, name, `manifests/${tag}`, await tokenFor(setup.proxy, name, authorization));
					assert.match(assertError(answer, 404, code), sentence);
				});
			}
		});
	});
}

describe('the form of the index', () => {
	const rows: [accept: string, mediaType: string | undefined][] = [
		[ACCEPT, OCI],
		['*/*', OCI],
		[`${DOCKER}, ${IMAGE}`, DOCKER],
		[IMAGE, undefined],
	];
	for (const [accept, mediaType] of rows) {
		test(accept, async (t) => {
			const setup = await setUp(t);
			const token = await tokenFor(setup.proxy, 'acme/display');
			const index = await get(setup, 'acme/display', 'manifests/latest', token, { headers: { accept } });
			if (mediaType === undefined) {
				assert.match(
					assertError(index, 404, 'MANIFEST_UNKNOWN'),
					/^acme\/display is an index, which this client does not take, of acme\/display-amd64, acme\/display-aarch64, acme\/display-armv7hf; pull one/,
				);
				return;
			}
			assert.equal(index.headers['content-type'], mediaType);
			assert.equal((await entriesOf(setup, 'acme/display', token, index)).length, 3);
			const byDigest = await get(setup, 'acme/display', `manifests/${String(index.headers['docker-content-digest'])}`, token, {
				headers: { accept },
			});
			assert.equal(byDigest.text, index.text);
		});
	}
});

test('the same bytes from any replica, for whoever sees the same', async (t) => {
	const setups = [await setUp(t), await setUp(t)];
	const texts = new Set<string>();
	for (const setup of setups) {
		for (const authorization of [undefined, basic(upstream.keys.stranger)]) {
			for (const name of ['acme/display', 'acme/display/latest']) {
				texts.add((await get(setup, name, 'manifests/latest', await tokenFor(setup.proxy, name, authorization))).text);
			}
		}
	}
	assert.equal(texts.size, 1);
});

describe('tags behind a bare block', () => {
	type Meaning = Entry[] | [entries: Entry[], warning: string] | [status: number];
	const warned = 'the tag foo names no release of acme/display and is ignored';
	const rows: [tag: string, lenient: Meaning, strict: Meaning, ignore: Meaning][] = [
		['latest', TRACKED, TRACKED, TRACKED],
		['1.0.0', IN_1_0, IN_1_0, TRACKED],
		['v1.1', IN_1_1, IN_1_1, TRACKED],
		[commit, [IN_1_0[2]!], [IN_1_0[2]!], TRACKED],
		['foo', [TRACKED, warned], [404], TRACKED],
		['9.9.9', [TRACKED, warned.replace('foo', '9.9.9')], [404], TRACKED],
	];
	for (const [i, tags] of ['lenient', 'strict', 'ignore'].entries()) {
		for (const [mode, env] of Object.entries(CACHE_MODES)) {
			test(`TAGS=${tags}; ${mode}`, async (t) => {
				const setup = await setUp(t, { ...env, TAGS: tags });
				for (const [tag, ...meanings] of rows) {
					await t.test(tag, async () => {
						const meaning = meanings[i]!;
						const token = await tokenFor(setup.proxy, 'acme/display');
						const index = await get(setup, 'acme/display', `manifests/${tag}`, token);
						if (typeof meaning[0] === 'number') {
							assertError(index, 404, 'MANIFEST_UNKNOWN');
							return;
						}
						const [entries, warning] = (typeof meaning[1] === 'string' ? meaning : [meaning]) as [Entry[], string?];
						assert.equal(index.headers['warning'], warning === undefined ? undefined : `299 - "${warning}"`);
						assert.deepEqual(
							await entriesOf(setup, 'acme/display', token, index),
							entries.map(([platform, { digest }]) => [platform, digest]),
						);
						// As clients ask for it that resolve a tag first.
						const byDigest = await get(setup, 'acme/display', `manifests/${String(index.headers['docker-content-digest'])}`, token);
						assert.equal(byDigest.text, index.text);
						for (const [, { digest }] of entries) {
							const [image] = Object.values(upstream.fleets)
								.flatMap(({ releases }) => Object.values(releases))
								.flatMap(({ images }) => Object.values(images))
								.filter(({ summary }) => summary?.digest === digest);
							const { configDigest, layers } = image!.summary!.platforms[0]!;
							for (const blob of [configDigest, ...layers.map((layer) => layer.digest)]) {
								assert.equal((await get(setup, 'acme/display', `blobs/${blob}`, token)).status, 200);
							}
						}
					});
				}
			});
		}
	}

	test('of a private block, by a holder of a key', async (t) => {
		const setup = await setUp(t);
		const token = await tokenFor(setup.proxy, 'acme/veiled', owner);
		const index = await get(setup, 'acme/veiled', 'manifests/1.0.0', token);
		assert.equal((await entriesOf(setup, 'acme/veiled', token, index)).length, 2);
	});
});

test('a pin that is no longer current, and a digest that is nowhere: what lasts', async (t) => {
	const setup = await setUp(t);
	for (const name of ['acme/display', 'acme/display/1.1.0']) {
		const token = await tokenFor(setup.proxy, name);
		const message = assertError(await get(setup, name, `manifests/${NOWHERE}`, token), 404, 'MANIFEST_UNKNOWN');
		const pins = [...message.matchAll(/(acme\/display-\w+\/[\d.]+)@(sha256:\w{64})/g)];
		assert.equal(pins.length, name === 'acme/display' ? 3 : 2, message);
		for (const [, child = '', digest = ''] of pins) {
			assert.equal((await get(setup, child, `manifests/${digest}`, await tokenFor(setup.proxy, child))).status, 200);
		}
		assertError(await get(setup, name, `blobs/${NOWHERE}`, token), 404, 'BLOB_UNKNOWN');
	}
});

test('a digest of an older release, behind a name that moves on, and not behind one that does not', async (t) => {
	const setup = await setUp(t);
	const { digest } = display('amd64', '1.0.0');
	assert.equal((await get(setup, 'acme/display', `manifests/${digest}`, await tokenFor(setup.proxy, 'acme/display'))).status, 200);
	const fixed = await get(setup, 'acme/display/1.1.0', `manifests/${digest}`, await tokenFor(setup.proxy, 'acme/display/1.1.0'));
	assertError(fixed, 404, 'MANIFEST_UNKNOWN');
});

test('made-up digests are searches, of which an address has so many; what is known, and one that was looked for just now, is none', async (t) => {
	// The least that a low limit leaves.
	const SEARCHES = 5;
	const setup = await setUp(t, { RATE_LIMIT_MAX: '200' });
	const name = 'acme/display/1.1.0';
	const token = await tokenFor(setup.proxy, name);
	const madeUp = (i: number): string => `blobs/sha256:${String(i).repeat(64)}`;
	for (let i = 0; i < SEARCHES; i++) {
		forgetRequests(setup);
		assertError(await get(setup, name, madeUp(i), token), 404, 'BLOB_UNKNOWN');
		assertError(await get(setup, name, madeUp(i), token), 404, 'BLOB_UNKNOWN');
		assert.equal(seen(setup.registry, ({ method }) => method === 'HEAD').length, IN_1_1.length);
	}
	assertError(await get(setup, name, madeUp(SEARCHES), token), 429, 'TOOMANYREQUESTS');
	const { configDigest } = display('aarch64', '1.1.0').platforms[0]!;
	assert.equal((await get(setup, name, `blobs/${configDigest}`, token)).status, 200);
});

test('nothing outside the block by digest', async (t) => {
	const setup = await setUp(t);
	for (const name of ['acme/display', 'acme/display/1.0.0']) {
		const token = await tokenFor(setup.proxy, name);
		for (const { digest, platforms } of [imageOf(upstream, 'acme/pinned'), display('rpi', '1.0.0'), veiled('amd64')]) {
			assertError(await get(setup, name, `manifests/${digest}`, token), 404, 'MANIFEST_UNKNOWN');
			assertError(await get(setup, name, `blobs/${platforms[0]!.configDigest}`, token), 404, 'BLOB_UNKNOWN');
		}
	}
});

test('lists: versions of all fleets, referrers of the index and of a child', async (t) => {
	const setup = await setUp(t);
	const tagsOf = async (name: string): Promise<unknown> =>
		(JSON.parse((await get(setup, name, 'tags/list', await tokenFor(setup.proxy, name))).text) as { tags: unknown }).tags;
	assert.deepEqual(await tagsOf('acme/display'), ['1.0.0', '1.1.0']);
	assert.deepEqual(await tagsOf('acme/display/1.0.0'), ['latest']);

	const token = await tokenFor(setup.proxy, 'acme/gauge');
	const index = await get(setup, 'acme/gauge', 'manifests/latest', token);
	const digest = String(index.headers['docker-content-digest']);
	const none = await get(setup, 'acme/gauge', `referrers/${digest}?artifactType=a/b`, token);
	assert.deepEqual([none.status, none.headers['content-type'], none.headers['oci-filters-applied']], [200, OCI, 'artifactType']);
	assert.deepEqual(JSON.parse(none.text), { schemaVersion: 2, mediaType: OCI, manifests: [] });
	const { fallbackTag } = gaugeArm.referrer!;
	const direct = await tokenFor(setup.proxy, 'acme/gauge-armv7hf');
	for (const path of [`referrers/${gaugeArm.digest}`, `manifests/${fallbackTag}`]) {
		const [byBlock, byFleet] = [await get(setup, 'acme/gauge', path, token), await get(setup, 'acme/gauge-armv7hf', path, direct)];
		assert.deepEqual(
			[byBlock.status, byBlock.text.replaceAll('gauge-armv7hf', 'gauge')],
			[byFleet.status, byFleet.text.replaceAll('gauge-armv7hf', 'gauge')],
		);
	}
	assertError(await get(setup, 'acme/gauge', `manifests/${digest.replace(':', '-')}`, token), 404, 'MANIFEST_UNKNOWN');
});

describe('what one child does to the index', () => {
	const ARM = display('armv7hf', '1.0.0');
	const rows: [what: string, fault: Fault, status: number, retryAfter?: string][] = [
		['401', { status: 401, headers: { 'www-authenticate': 'Bearer realm="x",service="y",error="insufficient_scope"' } }, 200],
		['403', { status: 403 }, 200],
		['404', { status: 404 }, 200],
		['429', { status: 429, headers: { 'retry-after': '9' } }, 429, '9'],
		['500', { status: 500 }, 502],
		['503', { status: 503, headers: { 'retry-after': '7' } }, 503, '7'],
		['a body that breaks off', { truncateAfterBytes: 100 }, 502],
		['a reset', 'reset', 502],
		['another body', { status: 200, headers: { 'content-type': IMAGE, 'docker-content-digest': ARM.digest }, body: '{}' }, 502],
		['a page', { status: 302, headers: { location: 'https://login.example/' } }, 502],
	];
	for (const [mode, env] of Object.entries(CACHE_MODES)) {
		for (const [what, fault, status, retryAfter] of rows) {
			test(`${what}; ${mode}`, async (t) => {
				const setup = await setUp(t, env);
				const token = await tokenFor(setup.proxy, 'acme/display');
				setup.registry.fault = faultAt(new RegExp(ARM.repository), fault);
				const index = await get(setup, 'acme/display', 'manifests/latest', token);
				assert.equal(index.status, status, index.text);
				assert.equal(index.headers['retry-after'], retryAfter);
				if (status === 200) {
					assert.deepEqual(
						(await entriesOf(setup, 'acme/display', token, index)).map(([, digest]) => digest),
						IN_1_1.map(([, { digest }]) => digest),
					);
				} else {
					// The others can be had all the same.
					assert.equal((await get(setup, 'acme/display', `manifests/${IN_1_1[0]![1].digest}`, token)).status, 200);
				}
				setup.registry.fault = () => undefined;
				assert.equal(
					(await entriesOf(setup, 'acme/display', token, await get(setup, 'acme/display', 'manifests/latest', token))).length,
					3,
				);
			});
		}
	}

	test('a token that the registry refuses for all of them: a challenge', async (t) => {
		const setup = await setUp(t);
		const token = await tokenFor(setup.proxy, 'acme/display');
		setup.registry.fault = faultAt(/manifests/, {
			status: 401,
			headers: { 'www-authenticate': 'Bearer realm="x",service="y",error="invalid_token"' },
		});
		const refused = await get(setup, 'acme/display', 'manifests/latest', token);
		assertError(refused, 401, 'UNAUTHORIZED');
		assert.match(String(refused.headers['www-authenticate']), /scope="repository:acme\/display:pull",error="invalid_token"/);
		forgetRequests(setup);
		await tokenFor(setup.proxy, 'acme/display');
		assert.equal(seen(setup.api, ({ url }) => url.startsWith('/auth/')).length, 1, 'it is forgotten, and the next one is new');
	});
});

test('PLATFORM_INDEX=off: only the sentence', async (t) => {
	const { proxy } = await setUp(t, { PLATFORM_INDEX: 'off' });
	for (const [name, authorization, sentence] of [
		...['acme/display', 'acme/display/latest', 'acme/display/latest/main'].map(
			(name) =>
				[
					name,
					undefined,
					'there is no public fleet acme/display; there are acme/display-aarch64, acme/display-amd64 and acme/display-armv7hf',
				] as const,
		),
		[
			'acme/display',
			owner,
			'there is no fleet acme/display that this login may pull from; there are acme/display-aarch64, acme/display-amd64, acme/display-armv7hf and acme/display-rpi',
		] as const,
	]) {
		const answer = await get({ proxy }, name, 'manifests/latest', await tokenFor(proxy, name, authorization));
		assert.equal(assertError(answer, 404, 'NAME_UNKNOWN'), sentence);
	}
});

test('a fleet of the plain name that is made while the index is in use wins at the next resolution; what was issued goes on', async (t) => {
	const setup = await setUp(t, CACHES_OFF);
	const old = await tokenFor(setup.proxy, 'acme/display');
	const index = await get(setup, 'acme/display', 'manifests/latest', old);
	const made = imageOf(upstream, 'acme/pinned');
	const row = {
		id: 1,
		commit: 'c0ffee'.padEnd(32, '0'),
		raw_version: '1.0.0',
		status: 'success',
		release_image: [
			{
				image: [
					{
						is_stored_at__image_location: `registry/${made.repository}`,
						content_hash: made.digest,
						is_a_build_of__service: [{ service_name: 'main' }],
					},
				],
			},
		],
	};
	setup.api.fault = ({ url }) =>
		/^\/v7\/release/.test(url) && decodeURIComponent(url).includes("'acme/display'") ? odata([row]) : undefined;
	const token = await tokenFor(setup.proxy, 'acme/display');
	const image = await get(setup, 'acme/display', 'manifests/latest', token);
	assert.deepEqual([image.status, image.headers['docker-content-digest']], [200, made.digest]);
	assert.equal((await get(setup, 'acme/display', 'manifests/latest', old)).text, index.text);
	assert.equal((await get(setup, 'acme/display', `manifests/${IN_1_1[0]![1].digest}`, old)).status, 200);
});

test('a private sibling is in no query', async (t) => {
	const setup = await setUp(t, CACHES_OFF);
	await get(setup, 'acme/display/1.0.0', 'manifests/latest', await tokenFor(setup.proxy, 'acme/display/1.0.0'));
	const queries = seen(setup.api, ({ url }) => url.startsWith('/v7/')).map((line) => decodeURIComponent(line));
	assert.equal(queries.length, 3);
	assert.ok(queries[2]!.includes('display-armv7hf') && !queries[2]!.includes('display-rpi'), queries[2]!);
});

/** What a pull by tag and digests costs the upstreams. */
async function costOf(
	setup: Setup,
	name: string,
	{ digest, platforms }: ImageSummary,
): Promise<{ queries: number; tokens: number; registry: number }> {
	forgetRequests(setup);
	const token = await tokenFor(setup.proxy, name);
	const top = await get(setup, name, 'manifests/latest', token);
	const { configDigest, layers } = platforms[0]!;
	for (const path of [
		`manifests/${String(top.headers['docker-content-digest'])}`,
		`manifests/${digest}`,
		`blobs/${configDigest}`,
		`blobs/${layers[0]!.digest}`,
	]) {
		assert.equal((await get(setup, name, path, token)).status, 200, path);
	}
	return {
		queries: seen(setup.api, ({ url }) => url.startsWith('/v7/')).length,
		tokens: seen(setup.api, ({ url }) => url.startsWith('/auth/')).length,
		registry: seen(setup.registry, ({ url }) => url !== '/v2/').length,
	};
}

test('what a first and a second pull cost: of a fleet, nothing more for there being blocks', async (t: TestContext) => {
	const image = display('amd64', '1.1.0');
	const rows: [name: string, first: object, second: object][] = [
		['acme/display-amd64', { queries: 1, tokens: 1, registry: 3 }, { queries: 0, tokens: 0, registry: 2 }],
		['acme/display-amd64/1.1.0', { queries: 1, tokens: 1, registry: 3 }, { queries: 0, tokens: 0, registry: 2 }],
		// Three manifests and two blobs.
		['acme/display', { queries: 3, tokens: 1, registry: 5 }, { queries: 0, tokens: 0, registry: 2 }],
		['acme/display/1.1.0', { queries: 3, tokens: 1, registry: 4 }, { queries: 0, tokens: 0, registry: 2 }],
	];
	for (const [name, first, second] of rows) {
		const setup = await setUp(t);
		assert.deepEqual(await costOf(setup, name, image), first, name);
		assert.deepEqual(await costOf(setup, name, image), second, name);
	}
});
