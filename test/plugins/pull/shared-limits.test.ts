import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Cost } from '../../../plugins/service/rate-limit.ts';
import { ask, assertError, forgetRequests, seen, setUp, tokenFor } from '../../support/setup.ts';
import { until } from '../../support/until.ts';
import { NOWHERE } from './sample-blocks.ts';

/* What several wait for: that the one who began it has asked too much is told to that one alone. */

/** Of which one address has nothing left but so much, when it begins to wait for what is not in any memory. */
const LIMITS: Record<string, { cost: Cost; used: number; path: string; status: number }> = {
	'a name': { cost: 'cold name', used: 9, path: '/auth/v1/token?scope=repository:acme/nowhere:pull', status: 200 },
	'a search': { cost: 'search', used: 5, path: `/v2/acme/pinned/blobs/${NOWHERE}`, status: 404 },
};
for (const [what, { cost, used, path, status }] of Object.entries(LIMITS)) {
	test(`who began to wait has asked too much: ${what}`, { timeout: 60_000 }, async (t) => {
		const { proxy, api, registry } = await setUp(t, { RATE_LIMIT_MAX: '200' });
		const question = path.startsWith('/v2/') ? { token: await tokenFor(proxy, 'acme/pinned') } : {};
		for (let i = 0; i < used; i++) {
			proxy.app.charge(cost, '127.0.0.1');
		}
		const gate = Promise.withResolvers<void>();
		forgetRequests({ api, registry });
		api.fault = () => ({ after: gate.promise });
		const first = ask(proxy, path, { ...question, from: '127.0.0.1' });
		await until(() => api.requests.length > 0);
		const second = ask(proxy, path, { ...question, from: '127.0.0.2' });
		await until(() => proxy.app.requests.inFlight === 2 && registry.underWay === 0 && (seen(registry).length === 2 || status === 200));
		await turn();
		await turn();
		gate.resolve();
		assertError(await first, 429, 'TOOMANYREQUESTS');
		assert.equal((await second).status, status, (await second).text);
	});
}
