import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT, basic } from '../../support/proxy.ts';
import { ask, forgetRequests, setUp, tokenFor } from '../../support/setup.ts';
import { imageOf } from '../../upstream/index.ts';
import type { Fault } from '../../upstream/relay.ts';
import { sharedUpstream } from '../../upstream/shared.ts';

/* Who asks for the same at the same time waits for the same answer, where it may be shared. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';

test('identical misses at the same time are one upstream request', async (t) => {
	const setup = await setUp(t);
	const { proxy, registry, api } = setup;
	// Long enough for all to have come, and two of them well below the two seconds after which nobody is waited for.
	const slowly = (): Fault => ({ delayMs: 600 });
	const ten = <T>(run: (i: number) => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: 10 }, (_, i) => run(i)));
	const callers = { anonymous: [undefined, 'acme/multi-arch'], credentialed: [basic(upstream.keys.owner), 'acme/secret'] } as const;
	for (const [who, [authorization, name]] of Object.entries(callers)) {
		await t.test(`tokens, ${who}`, async () => {
			api.fault = slowly;
			forgetRequests(setup);
			await ten(() => tokenFor(proxy, name, authorization));
			assert.deepEqual(
				api.requests.map(({ url }) => url.split('?')[0]),
				// Of credentials that nobody knows yet, one is tried; the others share the next.
				['/v7/release', '/auth/v1/token', ...(authorization === undefined ? [] : ['/auth/v1/token'])],
			);
		});
		await t.test(`manifests, ${who}`, async () => {
			api.fault = () => undefined;
			const token = await tokenFor(proxy, name, authorization);
			registry.fault = slowly;
			forgetRequests(setup);
			const answers = await ten((i) =>
				ask(proxy, `/v2/${name}/manifests/tag${i}`, { token, headers: { accept: i % 2 === 0 ? ACCEPT : `${ACCEPT}, application/x-${i}` } }),
			);
			assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
			assert.deepEqual(new Set(answers.map(({ headers }) => headers['docker-content-digest'])), new Set([imageOf(upstream, name).digest]));
			assert.equal(registry.requests.length, 1);
		});
	}
	await t.test('what they wait for fails for all of them, and is asked for again by the next', async () => {
		const token = await tokenFor(proxy, NAME);
		registry.fault = () => ({ status: 503, headers: { 'retry-after': '7' } });
		const answers = await ten(() => ask(proxy, `/v2/${NAME}/manifests/latest`, { token }));
		assert.deepEqual(new Set(answers.map(({ status, headers }) => `${status} ${String(headers['retry-after'])}`)), new Set(['503 7']));
		registry.fault = () => undefined;
		assert.equal((await ask(proxy, `/v2/${NAME}/manifests/latest`, { token, headers: { accept: ACCEPT } })).status, 200);
	});
	await t.test('not across tokens', async () => {
		const [mine, theirs] = [
			await tokenFor(proxy, 'acme/secret/1.0.0', basic(upstream.keys.owner)),
			await tokenFor(proxy, 'acme/secret/1.0.0', basic(upstream.keys.device)),
		];
		registry.fault = slowly;
		forgetRequests(setup);
		await Promise.all(
			[mine, theirs].map((token) => ask(proxy, '/v2/acme/secret/1.0.0/manifests/latest', { token, headers: { accept: ACCEPT } })),
		);
		assert.equal(registry.requests.length, 2);
	});
});
