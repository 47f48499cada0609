import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT, basic } from '../../support/proxy.ts';
import { hexOf } from '../../upstream/fleets.ts';
import { imageOf, releaseOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { ask, CACHE_MODES, forgetRequests, seen, setUp, type Setup } from '../../support/setup.ts';

/*
 * Whether something is not there or only not theirs, strangers cannot tell: not by status, headers or words, and not by how much work it makes, which
 * is what time could tell.
 */

const upstream = await sharedUpstream();
const secret = imageOf(upstream, 'acme/secret');
const digest = `sha256:${hexOf('of nothing')}${hexOf('at all')}`;

/** Private, and absent: of the same length, so that nothing else has to be left out of the comparison. */
const PAIRS: [forbidden: string, absent: string][] = [
	['acme/secret', 'acme/absent'],
	['acme/secret/latest', 'acme/absent/latest'],
	['acme/secret/1.0.0', 'acme/absent/1.0.0'],
	['acme/secret/1', 'acme/absent/1'],
	['acme/secret/9.9.9', 'acme/absent/9.9.9'],
	[`acme/secret/${releaseOf(upstream, 'acme/secret').commit}`, `acme/absent/${releaseOf(upstream, 'acme/secret').commit}`],
	['acme/secret/1.2.0', 'acme/absent/1.2.0'],
	['acme/secret/1.0.0/main', 'acme/absent/1.0.0/main'],
	['acme/secret-several', 'acme/absent-several'],
	['acme/secret-several/1.0.0/worker', 'acme/absent-several/1.0.0/worker'],
	// Of a block, every fleet is private.
	['acme/veiled', 'acme/vanish'],
	['acme/veiled/1.0.0', 'acme/vanish/1.0.0'],
	['acme/veiled-amd64', 'acme/vanish-amd64'],
	[secret.repository, `v2/${hexOf('an image that nobody has')}`],
];
const PATHS = [
	'manifests/latest',
	`manifests/${secret.digest}`,
	`blobs/${secret.platforms[0]!.configDigest}`,
	`blobs/${digest}`,
	'tags/list',
	`referrers/${secret.digest}`,
];

/** All that a stranger can see of a name: answers, and how many requests of which kind they cost. */
async function observe(setup: Setup, name: string, authorization: string | undefined): Promise<unknown[]> {
	const { proxy, api, registry } = setup;
	const seenOf = async (
		path: string,
		question: { token?: string; authorization?: string; method?: string },
	): Promise<{ text: string; observed: unknown }> => {
		forgetRequests(setup);
		const headers = { accept: ACCEPT, ...(question.authorization === undefined ? {} : { authorization: question.authorization }) };
		const answer = await ask(proxy, path, { ...question, headers });
		const { date: _date, 'x-request-id': _id, ...others } = answer.headers;
		const work = [
			...seen(api).map((line) => line.split(/[?(]/)[0]),
			...seen(registry).map((line) => line.replace(/v2\/[0-9a-f]{32}/, '…')),
		];
		return {
			text: answer.text,
			observed: JSON.parse(
				JSON.stringify([path, answer.status, answer.reason, others, answer.text, work]).replaceAll(name, '…').replaceAll(slugOf(name), '…'),
			),
		};
	};
	const token = await seenOf(`/auth/v1/token?scope=repository:${name}:pull`, { authorization });
	const issued = JSON.parse(token.text);
	const [jwt, map] = issued.token.split('~') as [string, string];
	const { jti: _jti, iat: _iat, exp: _exp, nbf: _nbf, ...claims } = JSON.parse(Buffer.from(jwt.split('.')[1]!, 'base64url').toString());
	const observed: unknown[] = [Object.keys(issued), (token.observed as unknown[]).at(-1), issued.token.length];
	observed.push(
		JSON.parse(
			JSON.stringify([claims, Buffer.from(map, 'base64url').toString()])
				.replaceAll(name, '…')
				.replaceAll(slugOf(name), '…'),
		),
	);
	for (const path of PATHS) {
		for (const method of ['GET', 'HEAD']) {
			observed.push((await seenOf(`/v2/${name}/${path}`, { method, token: issued.token })).observed);
		}
	}
	observed.push((await seenOf(`/v2/${name}/manifests/latest`, {})).observed);
	return observed;
}

const slugOf = (name: string): string => (name.startsWith('v2/') ? name : name.split('/', 2).join('/'));

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	for (const [who, authorization] of [
		['anybody', undefined],
		['a stranger with a login', basic(upstream.keys.stranger)],
	] as const) {
		test(`${who} cannot tell what is private from what is absent; ${mode}`, async (t) => {
			const setup = await setUp(t, env);
			// What is the same for all names is learned by the first request of all: the registry's challenge, and the anonymous token that grants nothing.
			await ask(setup.proxy, '/auth/v1/token');
			for (const [forbidden, absent] of PAIRS) {
				await t.test(forbidden, async () => {
					// Twice: the second time, what can be remembered is.
					for (let round = 0; round < 2; round++) {
						assert.deepEqual(await observe(setup, forbidden, authorization), await observe(setup, absent, authorization));
					}
				});
			}
		});
	}
}
