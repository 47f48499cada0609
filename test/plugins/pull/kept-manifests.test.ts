import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT, basic } from '../../support/proxy.ts';
import { ask, setUp, tokenFor } from '../../support/setup.ts';
import { imageOf } from '../../upstream/index.ts';
import type { Fault } from '../../upstream/relay.ts';
import { sharedUpstream } from '../../upstream/shared.ts';

/* Which manifests are kept: those that are what they say, and then they are not read again. */

const upstream = await sharedUpstream();
const owner = basic(upstream.keys.owner);
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
