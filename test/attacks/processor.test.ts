import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { flood } from '../support/flood.ts';
import { NO_PROC, processorSecondsOf, rssOf } from '../support/proc.ts';
import { startProcess } from '../support/process.ts';
import { ACCEPT } from '../support/proxy.ts';
import { odata, releaseOfServices } from '../support/release-answer.ts';
import { ask, seen, tokenFor, type Answer, type Question } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { startRelay, type Fault } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/*
 * Kind B: an owner's manifests and releases that are dear to read, and somebody who has them read again and again. What is measured is the processor's time of the real process, at its default settings: what an attack
 * needs is ten times as much as the bound.
 */

const upstream = await sharedUpstream();
const MB = 1024 * 1024;
const FLEET = 'acme/pinned';
/** Two releases with the same manifest, neither of which the fleet tracks: where it is has to be noted anew each time. */
const TAGS = ['1.0.0', '1.2.0'];
const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
/** Of nearly 4 MB, with more than a million layers, none of which is one: more than 100 ms each time that it is parsed. */
const HOSTILE = `{"schemaVersion":2,"layers":[${'{},'.repeat(1_390_000)}{}]}`;
const DIGEST = `sha256:${hash('sha256', HOSTILE)}`;

test('a hostile manifest in memory is not read, whoever asks for it, and how', { timeout: 200_000, skip: NO_PROC }, async (t) => {
	const registry = await startRelay(upstream.registryUrl);
	t.after(() => registry.close());
	const repositories = TAGS.map((tag) => imageOf(upstream, FLEET, tag).repository);
	registry.fault = ({ url }) =>
		repositories.some((repository) => url.startsWith(`/v2/${repository}/manifests/`))
			? { status: 200, headers: { 'content-type': IMAGE, 'docker-content-digest': DIGEST }, body: HOSTILE }
			: undefined;
	const service = await startProcess(t, { apiUrl: upstream.apiUrl, registryUrl: registry.url });
	const token = await tokenFor(service, FLEET);
	const get = (i: number, question: Question): Promise<Answer> =>
		ask(service, `/v2/${FLEET}/manifests/${TAGS[i % TAGS.length]!}`, {
			token,
			...question,
			headers: { accept: ACCEPT, ...question.headers },
		});
	for (const i of TAGS.keys()) {
		assert.equal((await get(i, {})).text.length, HOSTILE.length);
	}
	registry.requests = [];
	const used = processorSecondsOf(service.child.pid!);
	for (let i = 0; i < 64; i++) {
		const isHead = i % 4 < 2;
		const { status } = await get(i, isHead ? { method: 'HEAD' } : { headers: { 'if-none-match': `"${DIGEST}"` } });
		assert.equal(status, isHead ? 200 : 304);
	}
	const seconds = processorSecondsOf(service.child.pid!) - used;
	t.diagnostic(`${seconds} s of the processor for 64`);
	assert.ok(seconds < 2, `${seconds} s`);
	assert.deepEqual(
		seen(registry, ({ url }) => url.includes('/manifests/')),
		[],
		'all of it from memory',
	);
});

/** A real one says no more of them than it was asked for. */
const releaseWith = (services: number, name: string): Fault => odata([releaseOfServices(services, (i) => `${i}${name}`)]);

test('made-up services of an owner’s release with as many as there may be, or more', { timeout: 200_000, skip: NO_PROC }, async (t) => {
	const rows: Record<string, { answer: Fault; requests: number; status: number; queries: number }> = {
		'256 of long names: the API is asked once': { answer: releaseWith(256, '"'.repeat(900)), requests: 500, status: 200, queries: 1 },
		'10,000 of short ones: the answer is not read': { answer: releaseWith(10_000, 'service'), requests: 100, status: 502, queries: 100 },
	};
	for (const [what, { answer, requests, status, queries }] of Object.entries(rows)) {
		await t.test(what, async (t) => {
			const api = await startRelay(upstream.apiUrl);
			t.after(() => api.close());
			api.fault = ({ url }) => (decodeURIComponent(url).includes("'evil/fleet'") ? answer : undefined);
			const service = await startProcess(
				t,
				{ apiUrl: api.url, registryUrl: upstream.registryUrl },
				{ NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --max-old-space-size=96` },
			);
			// The SDK is loaded once.
			await tokenFor(service, 'acme/pinned');
			api.requests = [];
			const used = processorSecondsOf(service.child.pid!);
			assert.deepEqual(
				await flood(service, requests, (i) => ({ path: `/auth/v1/token?scope=repository:evil/fleet/1.0.0/made-up-${i}:pull` })),
				{ [status]: requests },
			);
			const seconds = processorSecondsOf(service.child.pid!) - used;
			const rss = rssOf(service.child.pid!);
			t.diagnostic(`${seconds} s of the processor for ${requests}, ${Math.round(rss / MB)} MB`);
			const asked = seen(api, ({ url }) => url.startsWith('/v7/')).length;
			assert.ok(asked <= queries, `${asked} queries`);
			assert.ok(seconds < 5, `${seconds} s`);
			assert.ok(rss < 256 * MB);
		});
	}
});
