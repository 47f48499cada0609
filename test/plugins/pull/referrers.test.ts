import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { ask, assertError, CACHE_MODES, faultAt, forgetRequests, setUp, tokenFor, type Answer } from '../../support/setup.ts';

/* `/v2/<name>/referrers/<digest>`: what the registry has, in its own words. */

const upstream = await sharedUpstream();
const NAME = 'acme/signed';
const { repository, digest } = imageOf(upstream, NAME);
const INDEX = 'application/vnd.oci.image.index.v1+json';

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	test(`referrers; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const { proxy, registry } = setup;
		const token = await tokenFor(proxy, NAME);
		const path = `/v2/${NAME}/referrers/${digest}`;

		await t.test('of this registry', async () => {
			const answer = await ask(proxy, path, { token });
			// Distribution 2.8 does not have them: clients go on with the fallback tag. Not NAME_UNKNOWN, for which oras-go gives up instead.
			assertError(answer, 404, 'UNSUPPORTED');
		});

		await t.test('in pages, to the end, as a client follows the links', async () => {
			const upstreamPath = `/v2/${repository}/referrers/${digest}`;
			const pages: Record<string, string | undefined> = {
				[`${upstreamPath}?artifactType=a%2Fb`]: `<https://inner.example:5000${upstreamPath}?artifactType=a%2Fb&nextToken=x%2B%2F%3D>; rel="next"`,
				[`${upstreamPath}?artifactType=a%2Fb&nextToken=x%2B%2F%3D`]: `<?n=1&last=y>; rel=next`,
				[`${upstreamPath}?n=1&last=y`]: undefined,
			};
			forgetRequests(setup);
			registry.fault = ({ url }) =>
				url in pages
					? { status: 200, headers: { 'content-type': INDEX, ...(pages[url] === undefined ? {} : { link: pages[url] }) }, body: url }
					: undefined;
			let next: string | undefined = `${path}?artifactType=a/b`;
			while (next !== undefined) {
				const { status, headers }: Answer = await ask(proxy, next, { token });
				assert.equal(status, 200);
				next = headers['link'] === undefined ? undefined : /^<(\/v2\/acme\/signed\/[^>]*)>; rel="next"$/.exec(String(headers['link']))![1];
			}
			assert.deepEqual(
				registry.requests.map(({ url }) => url),
				Object.keys(pages),
			);
		});

		// What is asked of a registry that has them, and how its answer comes back.
		const rows: [query: string, upstreamQuery: string][] = [
			['', ''],
			['?artifactType=application%2Fvnd.example.signature.v1%2Bjson', '?artifactType=application%2Fvnd.example.signature.v1%2Bjson'],
			['?artifactType=a/b&ns=bh.cr&x=../y', '?artifactType=a%2Fb'],
			['?n=1', '?n=1'],
		];
		for (const [query, upstreamQuery] of rows) {
			for (const method of ['GET', 'HEAD']) {
				await t.test(`${method} ${query}`, async () => {
					const body = `{"schemaVersion":2,"mediaType":"${INDEX}","manifests":[]}`;
					registry.fault = faultAt(/referrers/, {
						status: 200,
						headers: { 'content-type': INDEX, 'content-length': String(body.length), 'oci-filters-applied': 'artifactType' },
						body: method === 'HEAD' ? '' : body,
					});
					forgetRequests(setup);
					const answer = await ask(proxy, `${path}${query}`, { method, token });
					assert.deepEqual(
						registry.requests.map((request) => `${request.method} ${request.url}`),
						[`${method} /v2/${repository}/referrers/${digest}${upstreamQuery}`],
					);
					assert.deepEqual([answer.status, answer.text], [200, method === 'HEAD' ? '' : body]);
					assert.deepEqual(
						[answer.headers['content-type'], answer.headers['oci-filters-applied'], answer.headers['content-length']],
						[INDEX, 'artifactType', String(body.length)],
					);
				});
			}
		}
	});
}
