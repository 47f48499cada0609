import assert from 'node:assert/strict';
import { test } from 'node:test';
import { basic } from '../support/proxy.ts';
import { assertTold, LONG } from '../support/expect.ts';
import { ask, faultAt, setUp, type Setup } from '../support/setup.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Docker and balena-engine wait 15 seconds for a ping, a login or a token: all that is asked for one has to end before that, also where each of it alone would. */

const upstream = await sharedUpstream();
const TOKEN = '/auth/v1/token?scope=repository:acme/pinned:pull';

const rows: { what: string; hang: (setup: Setup) => void; path: string; headers?: Record<string, string> }[] = [
	{ what: 'a name', hang: ({ api }) => (api.fault = faultAt(/^\/v7\//, 'hang')), path: TOKEN },
	{ what: 'the token', hang: ({ api }) => (api.fault = faultAt(/^\/auth\//, 'hang')), path: TOKEN },
	{
		what: 'a login',
		hang: ({ api }) => (api.fault = faultAt(/^\/auth\//, 'hang')),
		path: '/auth/v1/token?account=u',
		headers: { authorization: basic(upstream.keys.owner) },
	},
	{ what: "the registry's name for itself", hang: ({ registry }) => (registry.fault = faultAt(/^\/v2\//, 'hang')), path: TOKEN },
	{ what: 'the challenge of a ping', hang: ({ registry }) => (registry.fault = faultAt(/^\/v2\//, 'hang')), path: '/v2/' },
	{
		what: 'a ping with a token',
		hang: ({ registry }) => (registry.fault = faultAt(/^\/v2\//, 'hang')),
		path: '/v2/',
		headers: { authorization: 'Bearer a.b.c' },
	},
	{
		what: 'the challenge of a manifest',
		hang: ({ registry }) => (registry.fault = faultAt(/^\/v2\//, 'hang')),
		path: '/v2/acme/pinned/manifests/latest',
	},
];

test('all that a ping, a login or a token waits for ends within LOGIN_TIMEOUT', { timeout: 60_000 }, async (t) => {
	for (const { what, hang, path, headers = {} } of rows) {
		await t.test(what, async (t) => {
			const setup = await setUp(t, { ...LONG, LOGIN_TIMEOUT: '0.3' });
			hang(setup);
			const answer = await ask(setup.proxy, path, { headers });
			assertTold(answer, { status: 504, code: 'UNAVAILABLE', words: /did not answer in time/ }, setup.proxy);
			// All that Docker and balena-engine print of a 5xx.
			assert.match(answer.reason, /did not answer in time/);
		});
	}
});
