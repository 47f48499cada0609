import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT } from '../../support/proxy.ts';
import { ask, assertError, CACHE_MODES, seen, setUp, tokenFor } from '../../support/setup.ts';

/* An image in a format that the client does not accept. Registries answer as if it were not there; the person should read why. */

const NAME = 'acme/multi-arch/1.1.0';
const PATH = `/v2/${NAME}/manifests/latest`;
const INDEX = 'application/vnd.oci.image.index.v1+json';
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json';

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	test(`a format that the client does not accept; ${mode}`, async (t) => {
		const { proxy, registry } = await setUp(t, env);
		const token = await tokenFor(proxy, NAME);
		// As distribution does it, whatever stands in for it here.
		registry.fault = ({ url, headers }) =>
			url.includes('/manifests/') && !String(headers.accept).includes(INDEX) ? { status: 404, body: '{}' } : undefined;
		for (const [who, accept, words] of [
			['Docker of old', DOCKER, /is an OCI index, and this client accepts only: Docker manifest$/],
			['curl', '*/*', /is an OCI index, which is sent only to clients that ask for it: Accept: application\/vnd\.oci/],
			['nobody', undefined, /which is sent only to clients that ask for it/],
		] as const) {
			await t.test(who, async () => {
				const headers = accept === undefined ? undefined : { accept };
				const answer = await ask(proxy, PATH, { token, headers });
				const message = assertError(answer, 404, 'MANIFEST_UNKNOWN');
				assert.match(message, words);
				assert.ok(message.startsWith(NAME));
				assert.equal(answer.reason, message);
				assert.equal((await ask(proxy, PATH, { method: 'HEAD', token, headers })).reason, message);
			});
		}
		await t.test('a client that accepts it gets it', async () => {
			assert.equal((await ask(proxy, PATH, { token, headers: { accept: ACCEPT } })).status, 200);
		});
		await t.test('what is not there in any format is not looked for again by a client that accepts all', async () => {
			registry.requests = [];
			const absent = `/v2/${NAME}/manifests/sha256:${'0'.repeat(64)}`;
			assert.match(
				assertError(await ask(proxy, absent, { token, headers: { accept: ACCEPT } }), 404, 'MANIFEST_UNKNOWN'),
				/has no manifest/,
			);
			assert.equal(seen(registry).length, 1);
			assert.match(
				assertError(await ask(proxy, absent, { token, headers: { accept: DOCKER } }), 404, 'MANIFEST_UNKNOWN'),
				/has no manifest/,
			);
			assert.deepEqual(
				registry.requests.map(({ method }) => method),
				['GET', 'GET', 'HEAD'],
			);
		});
	});
}
