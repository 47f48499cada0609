import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ACCEPT, basic } from '../../support/proxy.ts';
import { ask, begin, setUp, tokenFor } from '../../support/setup.ts';
import { until } from '../../support/until.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { display } from './sample-blocks.ts';

/*
 * What several wait for belongs to all of them: that the one who began it goes away is no reason for the others to get nothing. And
 * where nobody is left, nothing is wrong that an operator should read of.
 */

const upstream = await sharedUpstream();
const owner = basic(upstream.keys.owner);
const older = display('amd64', '1.0.0');

/** What is asked for, and below which name; without one it needs no token. */
const QUESTIONS: Record<string, { path: string; name?: string; authorization?: string }> = {
	'a token': { path: '/auth/v1/token?scope=repository:acme/pinned:pull' },
	'a token for a block': { path: '/auth/v1/token?scope=repository:acme/display:pull' },
	'a token, with credentials': { path: '/auth/v1/token?scope=repository:acme/secret:pull', authorization: owner },
	'a manifest': { name: 'acme/pinned', path: 'manifests/latest' },
	'the index of a block': { name: 'acme/display', path: 'manifests/latest' },
	'the index of a private block': { name: 'acme/veiled', path: 'manifests/latest', authorization: owner },
	'a manifest by a tag that is a release': { name: 'acme/pinned', path: 'manifests/1.0.0' },
	'a manifest of another release, by digest': {
		name: 'balenalabs/browser-aarch64',
		path: `manifests/${imageOf(upstream, 'balenalabs/browser-aarch64', '2.3.8+rev2').digest}`,
	},
	'a manifest of another release of a block, by digest': { name: 'acme/display', path: `manifests/${older.digest}` },
	'a blob of another release of a block': { name: 'acme/display', path: `blobs/${older.platforms[0]!.layers[0]!.digest}` },
	'the tags of a fleet': { name: 'acme/pinned', path: 'tags/list' },
	'the tags of a block': { name: 'acme/display', path: 'tags/list' },
	'the page of a fleet': { path: '/acme/pinned' },
	'the page of a draft': { path: '/balenalabs/browser-aarch64/2.4.1-1648554962021' },
	'the page of a block': { path: '/acme/display' },
};

for (const [what, { name, path, authorization }] of Object.entries(QUESTIONS)) {
	const headers = { accept: name === undefined ? 'text/html' : ACCEPT, ...(name === undefined && authorization ? { authorization } : {}) };
	const target = name === undefined ? path : `/v2/${name}/${path}`;

	/** Goes away while each of the requests to the upstreams is under way, one after the other. */
	async function goAway(t: TestContext, isJoined: boolean): Promise<void> {
		for (let held = 1; ; held++) {
			const { proxy, api, registry } = await setUp(t);
			const token = name === undefined ? undefined : await tokenFor(proxy, name, authorization);
			const gate = Promise.withResolvers<void>();
			let count = 0;
			api.fault = registry.fault = () => (++count === held ? { after: gate.promise } : undefined);
			const going = new AbortController();
			let hasEnded = false;
			const first = begin(proxy, target, { token, headers, signal: going.signal }).then(
				(answer) => {
					hasEnded = true;
					answer.resume();
				},
				() => undefined,
			);
			await until(() => count >= held || hasEnded);
			if (hasEnded) {
				assert.ok(held > 1, 'it asks the upstreams for something');
				return;
			}
			let isAnswered = false;
			const second = isJoined ? ask(proxy, target, { token, headers }).finally(() => (isAnswered = true)) : undefined;
			// What is held may be a request that others make superfluous: then both are answered before.
			await until(() => isAnswered || hasEnded || proxy.app.requests.inFlight === (isJoined ? 2 : 1));
			await turn();
			going.abort();
			await first;
			await until(() => proxy.app.requests.inFlight <= (isJoined ? 1 : 0));
			gate.resolve();
			const answer = await second;
			assert.equal(answer?.status ?? 200, 200, `request ${held} to the upstreams: ${answer?.text.slice(0, 300)}`);
			assert.deepEqual(
				proxy.log.filter((line) => JSON.parse(line).level >= 50),
				[],
				`request ${held} to the upstreams`,
			);
		}
	}

	test(`who began to wait goes away, and another gets it: ${what}`, { timeout: 60_000 }, (t) => goAway(t, true));
	test(`who was alone goes away, and nothing is wrong: ${what}`, { timeout: 60_000 }, (t) => goAway(t, false));
}
