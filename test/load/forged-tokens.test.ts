import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Agent } from 'undici';
import { startProcess } from '../support/process.ts';
import { ask, tokenFor } from '../support/setup.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Tokens that nobody has issued are not remembered: else anybody could fill the memory with them. */

const upstream = await sharedUpstream();
const MANY = 10_000;
/** Nearly the longest token that is read at all. All of them would be 150 MB as they come, and more with what is made of them. */
const BYTES = 11_000;
const HEAP_MB = 120;
const CLIENTS = 16;

test(`${MANY} forged tokens of ${BYTES} bytes, in a heap of ${HEAP_MB} MB`, { timeout: 120_000 }, async (t) => {
	const service = await startProcess(t, upstream, { RATE_LIMIT_MAX: '0', NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}` });
	const agent = new Agent({ connections: CLIENTS });
	t.after(() => agent.destroy());
	await Promise.all(
		Array.from({ length: CLIENTS }, async () => {
			for (let i = 0; i < MANY / CLIENTS; i++) {
				const authorization = `Bearer e30.${randomBytes(BYTES).toString('base64url')}.x`;
				// The one address that is answered with any token, and so without the registry.
				const { statusCode, body } = await agent.request({
					origin: service.url,
					path: '/v2/_catalog',
					method: 'GET',
					headers: { authorization },
				});
				await body.dump();
				assert.equal(statusCode, 200);
			}
		}),
	);
	const token = await tokenFor(service, 'acme/pinned');
	assert.equal((await ask(service, '/v2/', { token })).status, 200);
});
