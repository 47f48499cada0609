import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptedTypes } from '../../../src/registry/accept.ts';
import { ACCEPT, basic } from '../../support/proxy.ts';
import { digestOf } from '../../upstream/image.ts';
import { imageOf, type ImageSummary } from '../../upstream/index.ts';
import type { Fault } from '../../upstream/relay.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import {
	ask,
	assertError,
	CACHE_MODES,
	forgetRequests,
	seen,
	setUp,
	tokenFor,
	upstreamPart,
	type Answer,
	type Question,
	type Setup,
} from '../../support/setup.ts';

/* `/v2/<name>/manifests/<reference>`: the tag is ignored, digests and tags that stand for digests are not. Run with every cache on and off. */

const upstream = await sharedUpstream();
const owner = basic(upstream.keys.owner);

/** @returns the answer to a request for a manifest, checked as every client checks it: the bytes are what the digest says, and HEAD says the same */
async function manifest(
	{ proxy }: Setup,
	name: string,
	reference: string,
	token: string,
	headers: Question['headers'] = {},
): Promise<Answer> {
	const question = { token, headers: { accept: ACCEPT, ...headers } };
	const path = `/v2/${name}/manifests/${reference}`;
	const [head, answer] = [await ask(proxy, path, { ...question, method: 'HEAD' }), await ask(proxy, path, question)];
	assert.equal(answer.status, 200, answer.text);
	assert.equal(digestOf(Buffer.from(answer.text)), answer.headers['docker-content-digest']);
	assert.equal(head.status, 200);
	assert.equal(head.text, '');
	for (const header of ['content-type', 'content-length', 'docker-content-digest', 'etag', 'docker-distribution-api-version']) {
		assert.notEqual(head.headers[header], undefined, header);
		assert.equal(head.headers[header], answer.headers[header], header);
	}
	assert.equal(head.headers['content-length'], String(Buffer.byteLength(answer.text)));
	assert.equal(answer.headers['transfer-encoding'], undefined);
	return answer;
}

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

	test(`the upstream’s own names pass through; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const { proxy } = setup;
		const image = imageOf(upstream, 'acme/pinned');
		const secret = imageOf(upstream, 'acme/secret');
		await t.test('with their tag', async () => {
			const token = await tokenFor(proxy, image.repository);
			assert.equal((await manifest(setup, image.repository, 'latest', token)).headers['docker-content-digest'], image.digest);
			assertError(
				await ask(proxy, `/v2/${image.repository}/manifests/1.1.0`, { token, headers: { accept: ACCEPT } }),
				404,
				'MANIFEST_UNKNOWN',
			);
		});
		await t.test('under a token of the API itself', async () => {
			const token = upstreamPart(await tokenFor(proxy, image.repository));
			assert.equal((await manifest(setup, image.repository, image.digest, token)).headers['docker-content-digest'], image.digest);
		});
		await t.test('only for those who may', async () => {
			assert.equal(
				(await manifest(setup, secret.repository, 'latest', await tokenFor(proxy, secret.repository, owner))).headers[
					'docker-content-digest'
				],
				secret.digest,
			);
			for (const authorization of [undefined, basic(upstream.keys.stranger)]) {
				const answer = await ask(proxy, `/v2/${secret.repository}/manifests/latest`, {
					token: await tokenFor(proxy, secret.repository, authorization),
				});
				assertError(answer, 401, 'UNAUTHORIZED');
				assert.match(answer.headers['www-authenticate']!, /error="insufficient_scope"/);
			}
		});
	});

	test(`tokens that the API issued itself; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const { proxy } = setup;
		const own = async (scope: string, authorization?: string): Promise<string> => {
			const answer = await ask({ url: upstream.apiUrl }, `/auth/v1/token?scope=repository:${scope}:pull`, {
				headers: authorization === undefined ? {} : { authorization },
			});
			return JSON.parse(answer.text).token as string;
		};
		const pinned = imageOf(upstream, 'acme/pinned');
		const rows: { name: string; pulls: string; token: () => Promise<string>; digest: string | 401 | 404 }[] = [
			{
				name: 'an alias, public',
				pulls: 'acme/pinned/1.0.0',
				token: () => own('acme/pinned/1.0.0'),
				digest: imageOf(upstream, 'acme/pinned', '1.0.0').digest,
			},
			{
				name: 'an alias, private',
				pulls: 'acme/secret',
				token: () => own('acme/secret', owner),
				digest: imageOf(upstream, 'acme/secret').digest,
			},
			{ name: 'an alias of another name', pulls: 'acme/multi-arch', token: () => own('acme/pinned'), digest: 401 },
			{
				name: 'no alias: the name is resolved for anybody',
				pulls: 'acme/pinned',
				token: () => own(pinned.repository),
				digest: pinned.digest,
			},
			{ name: 'no alias, and another image', pulls: 'acme/multi-arch', token: () => own(pinned.repository), digest: 401 },
			{
				name: 'no alias, and a private fleet, whoever asks',
				pulls: 'acme/secret',
				token: () => own(imageOf(upstream, 'acme/secret').repository, owner),
				digest: 404,
			},
		];
		for (const { name, pulls, token, digest } of rows) {
			await t.test(name, async () => {
				const text = await token();
				if (typeof digest === 'string') {
					assert.equal((await manifest(setup, pulls, 'latest', text)).headers['docker-content-digest'], digest);
				} else {
					assertError(
						await ask(proxy, `/v2/${pulls}/manifests/latest`, { token: text }),
						digest,
						digest === 401 ? 'UNAUTHORIZED' : 'NAME_UNKNOWN',
					);
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

const PINNED_NAME = 'acme/pinned/1.0.0';
const PINNED = imageOf(upstream, 'acme/pinned', '1.0.0');

test('what is not what it says is passed on at the most, and not kept', async (t) => {
	const other = imageOf(upstream, 'acme/pinned', '1.2.0');
	const good = { 'content-type': PINNED.mediaType, 'docker-content-digest': PINNED.digest };
	const whole = await (async () => {
		const { proxy } = await setUp(t);
		return (
			await ask(proxy, `/v2/${PINNED_NAME}/manifests/latest`, { token: await tokenFor(proxy, PINNED_NAME), headers: { accept: ACCEPT } })
		).text;
	})();
	const rows: Record<string, Fault> = {
		'other bytes': { status: 200, headers: { ...good, 'content-length': '9' }, body: '{"evil":1' },
		'no digest': { status: 200, headers: { 'content-type': PINNED.mediaType, 'content-length': '2' }, body: '{}' },
		'a digest that is none': { status: 200, headers: { ...good, 'docker-content-digest': 'sha256:0', 'content-length': '2' }, body: '{}' },
		'an empty body': { status: 200, headers: { ...good, 'content-length': '0' }, body: '' },
		'no length': { status: 200, headers: good, body: '{}' },
		'5 MB': { status: 200, headers: { ...good, 'content-length': '5000000' }, body: ' '.repeat(5_000_000) },
		'another status': { status: 203, headers: { ...good, 'content-length': String(whole.length) }, body: whole },
		'half of it': { truncateAfterBytes: 20 },
	};
	for (const [what, fault] of Object.entries(rows)) {
		for (const reference of ['latest', PINNED.digest]) {
			await t.test(`${what}, asked for by ${reference.slice(0, 6)}`, async (t) => {
				const setup = await setUp(t);
				const { proxy, registry } = setup;
				const token = await tokenFor(proxy, PINNED_NAME);
				const path = `/v2/${PINNED_NAME}/manifests/${reference}`;
				const question = { token, headers: { accept: ACCEPT } };
				registry.fault = () => fault;
				await ask(proxy, path, question).catch(() => 'broken off');
				registry.fault = () => undefined;
				registry.requests = [];
				const answer = await ask(proxy, path, question);
				assert.equal(answer.headers['docker-content-digest'], PINNED.digest);
				assert.deepEqual(JSON.parse(answer.text).config.digest, PINNED.platforms[0]!.configDigest);
				assert.equal(registry.requests.length, 1);
			});
		}
	}
	await t.test('another manifest than the digest that was asked for', async (t) => {
		const { proxy, registry } = await setUp(t);
		const token = await tokenFor(proxy, [PINNED_NAME, 'acme/pinned/1.2.0']);
		const real = await ask(proxy, `/v2/acme/pinned/1.2.0/manifests/${other.digest}`, { token, headers: { accept: ACCEPT } });
		registry.fault = () => ({
			status: 200,
			headers: { ...good, 'docker-content-digest': other.digest, 'content-length': String(real.text.length) },
			body: real.text,
		});
		await ask(proxy, `/v2/${PINNED_NAME}/manifests/${PINNED.digest}`, { token, headers: { accept: ACCEPT } });
		registry.fault = () => undefined;
		for (const digest of [PINNED.digest, other.digest]) {
			const answer = await ask(proxy, `/v2/${PINNED_NAME}/manifests/${digest}`, { token, headers: { accept: ACCEPT } });
			assert.equal(answer.status, digest === PINNED.digest ? 200 : 404);
		}
	});
});

test('a manifest in memory is not read again', async (t) => {
	for (const tags of ['lenient', 'strict', 'ignore']) {
		await t.test(`TAGS=${tags}`, async (t) => {
			const { proxy } = await setUp(t, { TAGS: tags });
			const name = 'acme/pinned';
			const { digest } = imageOf(upstream, name);
			const path = (reference: string): string => `/v2/${name}/manifests/${reference}`;
			const tokens = [await tokenFor(proxy, name), await tokenFor(proxy, name, owner)];
			const headers = { accept: ACCEPT };
			for (const reference of ['latest', '1.0.0', digest]) {
				assert.equal((await ask(proxy, path(reference), { token: tokens[0]!, headers })).status, 200);
			}
			const parse = t.mock.method(JSON, 'parse');
			const read = (): number => parse.mock.calls.filter((call) => String(call.arguments[0]).includes('"schemaVersion"')).length;
			// The second has nothing accepted yet, but the bytes are the same.
			for (const token of tokens) {
				for (const reference of ['latest', '1.0.0', digest]) {
					for (const question of [{}, { method: 'HEAD' }, { headers: { ...headers, 'if-none-match': `"${digest}"` } }]) {
						const { status } = await ask(proxy, path(reference), { token, headers, ...question });
						assert.ok(status === 200 || status === 304, String(status));
					}
				}
			}
			assert.equal(read(), 0);
		});
	}
});
