import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANONYMOUS, parseCaller, type Caller } from '../../../src/balena/caller.ts';
import { basic } from '../../support/proxy.ts';
import { ask, assertError, faultAt, seen, setUp, tokenFor } from '../../support/setup.ts';
import { mintToken } from '../../upstream/control.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';

/* For how long a token of the API is kept, and for whom: how often the API is asked when the same one is needed twice. */

const upstream = await sharedUpstream();
const { repository } = imageOf(upstream, 'acme/pinned');
const owner = parseCaller(basic(upstream.keys.owner))!;
const stranger = parseCaller(basic(upstream.keys.stranger))!;

const ROWS: {
	what: string;
	caller: Caller;
	keep?: boolean;
	lifetime: number;
	after: number;
	again?: Caller;
	asked: number;
	/** What the token lets its holder do, in place of pulling. */
	actions?: string[];
	/** The registry has refused it as none. */
	forgotten?: true;
	env?: Record<string, string>;
}[] = [
	// TOKEN_TTL of the anonymous caller's, and never the last minute of a token's life.
	{ what: 'an anonymous token', caller: ANONYMOUS, lifetime: 3600, after: 10, asked: 1 },
	{
		what: 'an anonymous token, before TOKEN_TTL is over',
		caller: ANONYMOUS,
		lifetime: 3600,
		after: 99,
		asked: 1,
		env: { TOKEN_TTL: '100' },
	},
	{
		what: 'an anonymous token, after TOKEN_TTL',
		caller: ANONYMOUS,
		lifetime: 3600,
		after: 101,
		asked: 2,
		env: { TOKEN_TTL: '100', STALE_TTL: '0' },
	},
	{ what: 'an anonymous token, before its last minute', caller: ANONYMOUS, lifetime: 100, after: 35, asked: 1 },
	{ what: 'an anonymous token, in its last minute', caller: ANONYMOUS, lifetime: 100, after: 45, asked: 2 },
	{ what: 'an anonymous token that has but a minute', caller: ANONYMOUS, lifetime: 59, after: 0, asked: 2 },
	// The API remembers a refusal for minutes, after which the token would be good.
	{ what: 'an anonymous token that lacks what was asked for', caller: ANONYMOUS, lifetime: 3600, after: 0, asked: 2, actions: ['push'] },
	{ what: 'a kept token that lacks what was asked for', caller: owner, keep: true, lifetime: 3600, after: 0, asked: 2, actions: [] },
	{ what: 'an anonymous token that is none any more', caller: ANONYMOUS, lifetime: 3600, after: 0, asked: 2, forgotten: true },
	{ what: 'a kept token that is none any more', caller: owner, keep: true, lifetime: 3600, after: 0, asked: 2, forgotten: true },
	// With credentials it is proof that they are valid now, unless the proxy acts for them: then for a minute, and for nobody else.
	{ what: 'a token with credentials', caller: owner, lifetime: 3600, after: 0, asked: 2 },
	{ what: 'a kept token with credentials', caller: owner, keep: true, lifetime: 3600, after: 0, asked: 1 },
	{ what: 'a kept token with credentials, before its minute is over', caller: owner, keep: true, lifetime: 3600, after: 55, asked: 1 },
	{ what: 'a kept token with credentials, after its minute', caller: owner, keep: true, lifetime: 3600, after: 61, asked: 2 },
	{ what: 'a kept token with credentials, in its last minute', caller: owner, keep: true, lifetime: 90, after: 40, asked: 2 },
	{ what: 'a kept token, of others', caller: owner, keep: true, lifetime: 3600, after: 0, again: stranger, asked: 2 },
	{ what: 'a kept token, of nobody', caller: owner, keep: true, lifetime: 3600, after: 0, again: ANONYMOUS, asked: 2 },
];

for (const { what, caller, keep = false, lifetime, after, again = caller, asked, env, actions = ['pull'], forgotten = false } of ROWS) {
	test(`${what}, of ${lifetime} s, and again after ${after} s: asked ${asked === 1 ? 'once' : 'twice'}`, async (t) => {
		const { proxy, api } = await setUp(t, env);
		const token = await mintToken(upstream, [{ type: 'repository', name: repository, actions }], { lifetime });
		api.fault = faultAt(/^\/auth/, { status: 200, body: JSON.stringify({ token }) });
		await proxy.app.upstreamTokens.get([repository], caller, { keep });
		if (forgotten) {
			proxy.app.upstreamTokens.forget(token);
		}
		t.mock.timers.enable({ apis: ['Date'], now: Date.now() + after * 1000 });
		const now = performance.now.bind(performance);
		t.mock.method(performance, 'now', () => now() + after * 1000);
		await proxy.app.upstreamTokens.get([repository], again, { keep });
		assert.equal(seen(api, ({ url }) => url.startsWith('/auth/')).length, asked);
	});
}

test('a token that the registry refuses', async (t) => {
	const NAME = 'acme/pinned';
	const rows: Record<string, { error: string; asked: number; words: RegExp }> = {
		'as none is asked for anew': { error: 'invalid_token', asked: 1, words: /or is not valid any more$/ },
		'as insufficient is the same, and the client is told that it may take some minutes': {
			error: 'insufficient_scope',
			asked: 0,
			words: /if the fleet has just been made public, that takes some minutes$/,
		},
	};
	for (const [name, { error, asked, words }] of Object.entries(rows)) {
		for (const path of [`/v2/${NAME}/manifests/latest`, `/v2/${NAME}/blobs/sha256:${'0'.repeat(64)}`]) {
			await t.test(`${name}: ${path.split('/').at(-2)}`, async (t) => {
				const { proxy, api, registry } = await setUp(t);
				const token = await tokenFor(proxy, NAME);
				registry.fault = faultAt(/manifests|blobs/, {
					status: 401,
					headers: { 'www-authenticate': `Bearer realm="x",service="x",error="${error}"` },
				});
				assert.match(assertError(await ask(proxy, path, { token }), 401, 'UNAUTHORIZED'), words);
				api.requests = [];
				await tokenFor(proxy, NAME);
				assert.equal(seen(api, ({ url }) => url.startsWith('/auth/')).length, asked);
			});
		}
	}
});
