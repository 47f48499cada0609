import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { ACCEPT, basic, startProxy, type Proxy } from '../../support/proxy.ts';
import { ask, CACHE_MODES, forge, grantsOf, tokenFor, upstreamPart, type Answer } from '../../support/setup.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { parseChallenge } from '../../../src/registry/challenge.ts';
import { seal, sealingKey } from '../../../src/token/seal.ts';

/* Tags that name releases: what a token is good for that was stolen from its holder, changed, or made up. docs/tags.md, "What an attacker gains". */

const upstream = await sharedUpstream();
const SECRET = 'acme/secret';
const SEVERAL = 'acme/secret-several';
const image = imageOf(upstream, SECRET, '1.0.0');
const [{ configDigest, layers }] = image.platforms as [(typeof image.platforms)[number]];
const NOWHERE = `sha256:${'0'.repeat(64)}`;
const owner = basic(upstream.keys.owner);
const stranger = basic(upstream.keys.stranger);
const TOKEN_SECRET = 'known to every replica of these tests';
const HOUR_MS = 3_600_000;

const start = (t: TestContext, env: Record<string, string> = {}): Promise<Proxy> => startProxy(t, upstream, { TOKEN_SECRET, ...env });
const sealedIn = (token: string): string =>
	JSON.parse(Buffer.from(token.slice(token.indexOf('~') + 1), 'base64url').toString()).s as string;
const sealFor = (authorization: string, slugs = [SECRET], expiresAt = Date.now() + HOUR_MS): string =>
	seal({ authorization, slugs, expiresAt }, sealingKey(TOKEN_SECRET));
const tracked = imageOf(upstream, SECRET);
/** What a token says of a fleet whose tracked release cannot be pulled. */
const NONE = { code: 'NAME_UNKNOWN', message: 'acme/secret has no release to pull yet' };
/** A token for the private fleet, as the proxy would have issued it. */
const claim = (upstreamToken: string, sealed?: string, current: unknown = NONE): string =>
	forge(upstreamToken, { n: { [SECRET]: { fleet: current } }, s: sealed });

/** Everything that a pull of the release asks for, and what a snoop could ask besides. */
const PATHS = [
	`manifests/1.0.0`,
	`manifests/latest`,
	`manifests/${image.digest}`,
	`blobs/${configDigest}`,
	`blobs/${layers[0]!.digest}`,
	`referrers/${image.digest}`,
	'tags/list',
];

const NEED_LOGIN = PATHS.filter((path) => path !== 'manifests/latest');
/** Keywords, a tag that can be no release, and the digests of the tracked one. */
const NEED_NO_LOGIN = [
	'manifests/latest',
	'manifests/current',
	'manifests/stable',
	`manifests/${tracked.digest}`,
	`blobs/${tracked.platforms[0]!.configDigest}`,
	`blobs/${tracked.platforms[0]!.layers[0]!.digest}`,
];

async function askAll(proxy: Pick<Proxy, 'url'>, token: string, paths = PATHS): Promise<Answer[]> {
	const answers: Answer[] = [];
	for (const path of paths) {
		answers.push(await ask(proxy, `/v2/${SECRET}/${path}`, { token, headers: { accept: ACCEPT } }));
	}
	return answers;
}

const statusesOf = async (proxy: Pick<Proxy, 'url'>, token: string, paths?: string[]): Promise<number[]> =>
	(await askAll(proxy, token, paths)).map(({ status }) => status);

/** Of an answer, all that tells one refusal from another. */
const wordsOf = ({ status, reason, headers: { date: _date, 'x-request-id': _id, ...headers }, text }: Answer, digest: string): unknown =>
	JSON.parse(JSON.stringify({ status, reason, headers, text }).replaceAll(digest, 'DIGEST'));

test('what is in a token', async (t) => {
	const proxy = await start(t);
	const token = await tokenFor(proxy, [SECRET, `${SECRET}/1.0.0`, 'acme/not-there', 'acme/pinned'], owner);
	const { [`${SECRET}/1.0.0`]: release, 'acme/not-there': missing, ...fleets } = grantsOf(token);
	const pinned = imageOf(upstream, 'acme/pinned');
	assert.deepEqual(fleets, {
		[SECRET]: { fleet: [tracked.repository, '1.1.0'], digest: tracked.digest },
		'acme/pinned': { fleet: [pinned.repository, '1.1.0'], digest: pinned.digest },
	});
	assert.deepEqual(release, [image.repository, '1.0.0']);
	assert.equal((missing as { code: string }).code, 'NAME_UNKNOWN');
	const visible = [
		token,
		Buffer.from(token.split('~')[1]!, 'base64url').toString(),
		Buffer.from(sealedIn(token), 'base64url').toString('latin1'),
	].join();
	assert.ok(!visible.includes(upstream.keys.owner) && !visible.includes(owner.slice('Basic '.length)));
	assert.equal(sealedIn(await tokenFor(proxy, ['acme/pinned'])), undefined, 'nothing is sealed for an anonymous caller');
	assert.equal(sealedIn(await tokenFor(proxy, [`${SECRET}/1.0.0`], owner)), undefined, 'nor where there is no tag to come');
});

test('sealed credentials are not promised to live longer than they do', async (t) => {
	const proxy = await start(t);
	const answer = await ask(proxy, `/auth/v1/token?scope=repository:${SECRET}:pull`, { headers: { authorization: owner } });
	const { expires_in: seconds } = JSON.parse(answer.text) as { expires_in: number };
	assert.ok(seconds >= 60 && seconds <= 600, String(seconds));
});

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	test(`sealed credentials, ${mode}`, async (t) => {
		const proxy = await start(t, env);
		const genuine = await tokenFor(proxy, SECRET, owner);
		const nobody = upstreamPart(await tokenFor(proxy, 'acme/pinned'));
		const SERVED = [200, 200, 200, 200, 200, 404, 200];

		await t.test('of the holder', async () => assert.deepEqual(await statusesOf(proxy, genuine), SERVED));
		await t.test('at a replica with the same secret', async (t) =>
			assert.deepEqual(await statusesOf(await start(t, env), genuine), SERVED),
		);
		await t.test('for two fleets, for both', async () => {
			const both = await tokenFor(proxy, [SECRET, SEVERAL], owner);
			assert.deepEqual(await statusesOf(proxy, both), SERVED);
			assert.equal((await ask(proxy, `/v2/${SEVERAL}/tags/list`, { token: both })).status, 200);
		});
		await t.test('beside another upstream token, which is shown to the registry for the tracked release only', async () => {
			// Nothing is tracked, so everything but that is looked for.
			assert.deepEqual(await statusesOf(proxy, claim(nobody, sealedIn(genuine))), [200, 404, 200, 200, 200, 404, 200]);
			assert.deepEqual(
				await statusesOf(proxy, claim(nobody, sealedIn(genuine), [tracked.repository, '1.1.0'])),
				// What was served before is known to be elsewhere.
				[200, 401, 200, 200, 200, 401, 200],
			);
		});

		const bytes = Buffer.from(sealedIn(genuine), 'base64url');
		const changed = (at: number): string => Buffer.from(bytes.with(at, bytes[at]! ^ 1)).toString('base64url');
		const USELESS: Record<string, string> = {
			'expired a millisecond ago': sealFor(owner, [SECRET], Date.now() - 1),
			'of another fleet': sealFor(owner, [SEVERAL]),
			'moved from a token for another fleet': sealedIn(await tokenFor(proxy, SEVERAL, owner)),
			'of a fleet whose name begins alike': sealFor(owner, [`${SECRET}-several`, 'acme', 'acme/sec', `${SECRET}/1.0.0`]),
			'of no fleet': sealFor(owner, []),
			'made with another secret': seal(
				{ authorization: owner, slugs: [SECRET], expiresAt: Date.now() + HOUR_MS },
				sealingKey(`${TOKEN_SECRET}!`),
			),
			'with another nonce': changed(0),
			'with another tag': changed(12),
			'with other contents': changed(28),
			'cut short': sealedIn(genuine).slice(0, -8),
			'with something behind': `${sealedIn(genuine)}AAAA`,
			'not encrypted at all': Buffer.from(
				JSON.stringify({ authorization: owner, slugs: [SECRET], expiresAt: Date.now() + HOUR_MS }),
			).toString('base64url'),
		};
		for (const [name, sealed] of Object.entries(USELESS)) {
			await t.test(`${name}: what needs no login is served, and for the rest a new token has to be got`, async () => {
				const token = claim(upstreamPart(genuine), sealed, [tracked.repository, '1.1.0']);
				for (const answer of await askAll(proxy, token, NEED_LOGIN)) {
					assert.equal(answer.status, 401, answer.text);
					const challenge = parseChallenge(answer.headers['www-authenticate']);
					assert.deepEqual([challenge?.error, challenge?.scope], ['invalid_token', `repository:${SECRET}:pull`]);
				}
				for (const [i, answer] of (await askAll(proxy, token, NEED_NO_LOGIN)).entries()) {
					assert.equal(answer.status, 200, answer.text);
					if (NEED_NO_LOGIN[i]!.startsWith('manifests')) {
						assert.equal(answer.headers['docker-content-digest'], tracked.digest);
					}
				}
			});
		}

		const POWERLESS: Record<string, [string, RegExp]> = {
			'none: an anonymous caller': [claim(nobody), /there is no public fleet acme\/secret; if it is private, log in first/],
			'none, beside the upstream token of the owner': [
				claim(upstreamPart(await tokenFor(proxy, `${SECRET}/1.0.0`, owner))),
				/there is no public fleet acme\/secret/,
			],
			'a key that has been revoked': [
				claim(nobody, sealFor(basic('sampleKeyOfNobody000000000000009'))),
				/there is no fleet acme\/secret that this login may pull from/,
			],
			"a stranger's": [claim(nobody, sealFor(stranger)), /there is no fleet acme\/secret that this login may pull from/],
		};
		for (const [name, [token, said]] of Object.entries(POWERLESS)) {
			await t.test(`${name}, who is told the same as of a fleet that is not there`, async () => {
				assert.deepEqual(
					await statusesOf(proxy, token),
					PATHS.map(() => 404),
				);
				const { text } = await ask(proxy, `/v2/${SECRET}/manifests/1.0.0`, { token });
				assert.match(text, said);
			});
		}
	});

	test(`a digest of a private fleet says nothing to others, after its owner has pulled it, ${mode}`, async (t) => {
		const proxy = await start(t, env);
		const nobody = upstreamPart(await tokenFor(proxy, 'acme/pinned'));
		assert.deepEqual(await statusesOf(proxy, await tokenFor(proxy, SECRET, owner), PATHS.slice(0, 5)), [200, 200, 200, 200, 200]);
		const OTHERS: Record<string, string> = {
			'an anonymous caller': claim(nobody),
			'a stranger': claim(upstreamPart(await tokenFor(proxy, 'acme/pinned', stranger)), sealFor(stranger)),
			'whoever has only an old upstream token of the owner': claim(upstreamPart(await tokenFor(proxy, `${SECRET}/1.0.0`, owner))),
		};
		for (const [who, token] of Object.entries(OTHERS)) {
			for (const [kind, digest] of [
				['manifests', image.digest],
				['blobs', configDigest],
				['blobs', layers[0]!.digest],
				['referrers', image.digest],
			] as const) {
				await t.test(`${who}: ${kind}`, async () => {
					const [known, unknown] = await askAll(proxy, token, [`${kind}/${digest}`, `${kind}/${NOWHERE}`]);
					assert.deepEqual(wordsOf(known!, digest), wordsOf(unknown!, NOWHERE));
					assert.equal(known!.status, 404);
				});
			}
		}
	});
}

test('replicas without a common secret', async (t) => {
	const [one, other] = [await startProxy(t, upstream), await startProxy(t, upstream)];
	const token = await tokenFor(one, SECRET, owner);
	const paths = NEED_LOGIN.slice(0, 4);
	assert.deepEqual(await statusesOf(one, token, paths), [200, 200, 200, 200], 'each reads its own tokens');
	assert.deepEqual(await statusesOf(other, token, paths), [401, 401, 401, 401], 'and no other’s');
	assert.deepEqual(await statusesOf(other, token, NEED_NO_LOGIN), [200, 200, 200, 200, 200, 200], 'the tracked release needs none');
	const warnings = ({ log }: Proxy): number => log.filter((line) => line.includes('TOKEN_SECRET')).length;
	assert.deepEqual([warnings(one), warnings(other)], [0, 1], 'the operator is told once, by the one that has noticed');
	const anonymous = await tokenFor(one, 'acme/pinned');
	assert.equal(
		(await ask(other, '/v2/acme/pinned/manifests/1.0.0', { token: anonymous, headers: { accept: ACCEPT } })).status,
		200,
		'public fleets need none',
	);
});

test('a tag that means nothing, to a client that hides what a 404 says', async (t) => {
	const proxy = await start(t, { TAGS: 'strict' });
	const token = await tokenFor(proxy, 'acme/pinned');
	const rows: [agent: string, status: number, code: string][] = [
		['docker/20.10.24', 404, 'MANIFEST_UNKNOWN'],
		['containerd/2.4.2', 403, 'DENIED'],
	];
	for (const [agent, status, code] of rows) {
		const answer = await ask(proxy, '/v2/acme/pinned/manifests/7', { token, headers: { 'user-agent': agent } });
		assert.equal(answer.status, status);
		assert.deepEqual(JSON.parse(answer.text).errors[0], { code, message: 'acme/pinned has no release 7; its latest is 1.2.0' });
		assert.match(answer.reason, /acme\/pinned has no release 7/);
	}
});
