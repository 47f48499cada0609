import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { ACCEPT } from '../../support/proxy.ts';
import { odata, releaseOfServices } from '../../support/release-answer.ts';
import { ask, assertError, faultAt, seen, setUp, tokenFor, type Setup } from '../../support/setup.ts';
import { until } from '../../support/until.ts';
import { collectWarnings } from '../../support/warnings.ts';
import type { Fault, RecordedRequest } from '../../upstream/relay.ts';

/* In which of a fleet's repositories a digest is looked for, with TAGS=release. What is found is in tags-release.test.ts and tokens/sealed-credentials.test.ts. */

const NAME = 'acme/pinned';
const NOWHERE = `sha256:${'0'.repeat(64)}`;

for (const [services, asked] of [
	[1, 1],
	[47, 47],
	[48, 48],
	[49, 48],
	[200, 48],
] as const) {
	for (const kind of ['manifests', 'blobs']) {
		test(`${kind}: in ${asked} of ${services} repositories`, async (t) => {
			const { proxy, api, registry } = await setUp(t, { TAGS: 'release' });
			const token = await tokenFor(proxy, NAME);
			// The manifest's own digest is asked of the API, which knows none; its releases are what is searched.
			api.fault = (request) =>
				/content_hash[^&]*sha256/.test(decodeURIComponent(request.url))
					? odata([])
					: faultAt(/^\/v7\/release/, odata([releaseOfServices(services)]))(request);
			// Only that is absent; a registry that refuses the token says nothing of what it has.
			registry.fault = faultAt(/^\/v2\/v2\/0{20}/, { status: 404 });
			registry.requests = [];
			assertError(
				await ask(proxy, `/v2/${NAME}/${kind}/${NOWHERE}`, { token, headers: { accept: ACCEPT } }),
				404,
				kind === 'blobs' ? 'BLOB_UNKNOWN' : 'MANIFEST_UNKNOWN',
			);
			assert.equal(seen(registry, ({ method, url }) => method === 'HEAD' && url.endsWith(`/${kind}/${NOWHERE}`)).length, asked);
		});
	}
}

const PATH = `/v2/${NAME}/blobs/${NOWHERE}`;
const FIRST = `/v2/v2/${'0'.repeat(32)}/blobs/${NOWHERE}`;
const AT_ONCE = 6;
const isQuestion = ({ method, url }: RecordedRequest): boolean => method === 'HEAD' && url.endsWith(`/blobs/${NOWHERE}`);

/** A search in 48 repositories, to whose questions the registry says this. */
async function searching(t: TestContext, fault: (url: string) => Fault): Promise<Setup & { token: string; questions(): number }> {
	const setup = await setUp(t);
	const token = await tokenFor(setup.proxy, NAME);
	setup.api.fault = faultAt(/^\/v7\/release/, odata([releaseOfServices(48)]));
	setup.registry.fault = (request) => (isQuestion(request) || request.url === FIRST ? fault(request.url) : undefined);
	return { ...setup, token, questions: () => seen(setup.registry, isQuestion).length };
}

test('the first hit ends a search, whatever the other repositories do', async (t) => {
	const warnings = collectWarnings(t);
	const { proxy, token, registry, questions } = await searching(t, (url) =>
		url === FIRST ? { status: 200, headers: { 'docker-content-digest': NOWHERE }, body: 'found' } : 'hang',
	);
	const found = await ask(proxy, PATH, { token });
	assert.deepEqual([found.status, found.text], [200, 'found']);
	await until(() => registry.underWay === 0);
	assert.ok(questions() <= AT_ONCE, `${questions()} questions`);
	// One answer that so much waits for has many listeners, and none of them is a leak.
	assert.deepEqual(warnings, []);
});

for (const status of [429, 503]) {
	test(`a registry that answers ${status} is asked no more`, async (t) => {
		const { proxy, token, questions } = await searching(t, () => ({ status, headers: { 'retry-after': '7' } }));
		const refused = await ask(proxy, PATH, { token });
		assertError(refused, status, status === 429 ? 'TOOMANYREQUESTS' : 'UNAVAILABLE');
		assert.equal(refused.headers['retry-after'], '7');
		assert.ok(questions() <= AT_ONCE, `${questions()} questions`);
	});
}

/** Who is in front of the registry, or of what: each says nothing of where a digest is, and nothing of it is remembered. */
const PAGES: Record<string, Fault> = {
	'a page': { status: 200, headers: { 'content-type': 'text/html' } },
	'a page that names another digest': { status: 200, headers: { 'docker-content-digest': NOWHERE.replaceAll('0', '1') } },
	'a way to log in': { status: 307, headers: { location: 'https://login.example/' } },
};
for (const [what, fault] of Object.entries(PAGES)) {
	test(`an answer that is none of the registry’s: ${what}`, async (t) => {
		let isOver = false;
		const { proxy, token } = await searching(t, () => (isOver ? { status: 404 } : fault));
		assertError(await ask(proxy, PATH, { token }), 502, 'UNAVAILABLE');
		isOver = true;
		assertError(await ask(proxy, PATH, { token }), 404, 'BLOB_UNKNOWN');
	});
}

test('a search ends with its last client', async (t) => {
	const { proxy, token, registry, questions } = await searching(t, () => 'hang');
	const clients = [new AbortController(), new AbortController()];
	const answers = clients.map(({ signal }) => ask(proxy, PATH, { token, signal }).catch(() => undefined));
	await until(() => questions() === AT_ONCE);
	for (const client of clients) {
		client.abort();
	}
	await Promise.all(answers);
	await until(() => registry.underWay === 0);
	assert.equal(questions(), AT_ONCE);
});
