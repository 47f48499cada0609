import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { NO_PROC, rssOf } from '../support/proc.ts';
import { startProcess } from '../support/process.ts';
import { odata } from '../support/release-answer.ts';
import { ask, begin, tokenFor } from '../support/setup.ts';
import { until } from '../support/until.ts';
import { startRelay, type Fault } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Kind B: an owner's fleets, whose pages are as large as the API lets them be, and somebody opens them and reads nothing. */

const upstream = await sharedUpstream();
const MB = 1024 * 1024;
const PAGES = 60;
/** What a row of the API's may hold, and what HTML makes the most of. */
const LONG_NAME = '"'.repeat(990);

/** An answer to the query for a fleet's page, of just under 1 MB. */
function hostileFleet(
	slug: string,
	{ services, releases, name }: { services: number; releases: number; name: string },
): Exclude<Fault, undefined> {
	const image = (i: number): unknown => ({
		image: [{ content_hash: `sha256:${'0'.repeat(64)}`, image_size: 1, is_a_build_of__service: [{ service_name: `${i}${name}` }] }],
	});
	const release = (i: number): unknown => ({
		commit: String(i).padStart(32, 'a'),
		semver_major: 1,
		semver_minor: 0,
		semver_patch: i,
		raw_version: `1.0.${i}`,
		revision: 0,
		is_final: true,
		status: 'success',
		created_at: '2026-11-26T00:00:00Z',
		release_image: Array.from({ length: services }, (_, s) => image(s)),
	});
	return odata([{ slug, app_name: slug, owns__release: Array.from({ length: releases }, (_, i) => release(i)) }]);
}

const ROWS: Record<string, { services: number; releases: number; name: string }> = {
	'one release of as many services as there may be, with long names': { services: 250, releases: 1, name: LONG_NAME },
	'thirty releases of as many services as fit': { services: 150, releases: 30, name: 'service' },
};

for (const [what, size] of Object.entries(ROWS)) {
	test(`${PAGES} unread pages of fleets with ${what} stay below a container’s 256 MB`, { timeout: 120_000, skip: NO_PROC }, async (t) => {
		const api = await startRelay(upstream.apiUrl);
		t.after(() => api.close());
		api.fault = ({ url }) => {
			const slug = /evil\/fleet-\d+/.exec(decodeURIComponent(url))?.[0];
			return slug === undefined ? undefined : hostileFleet(slug, size);
		};
		const service = await startProcess(
			t,
			{ apiUrl: api.url, registryUrl: upstream.registryUrl },
			{ NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --max-old-space-size=80` },
		);
		await tokenFor(service, 'acme/pinned');
		const before = rssOf(service.child.pid!);
		const gone = new AbortController();
		t.after(() => gone.abort());
		const unread: IncomingMessage[] = [];
		let failed = 0;
		for (let i = 0; i < PAGES; i++) {
			begin(service, `/evil/fleet-${i}`, { from: `127.0.0.${2 + (i % 3)}`, signal: gone.signal }).then(
				(response) => unread.push(response.on('error', () => undefined)),
				() => failed++,
			);
		}
		let most = 0;
		await until(
			() => {
				most = Math.max(most, rssOf(service.child.pid!));
				assert.equal(service.child.exitCode, null, 'the process has ended');
				return unread.length + failed === PAGES;
			},
			{ seconds: 90 },
		);
		const statuses = Object.entries(Object.groupBy(unread, ({ statusCode }) => String(statusCode))).map(
			([status, all]) => `${all!.length} of ${status}`,
		);
		t.diagnostic(`${Math.round(before / MB)} MB before, ${Math.round(most / MB)} MB at the most; ${statuses.join(', ')}, ${failed} failed`);
		assert.ok(unread.some(({ statusCode }) => statusCode === 200));
		assert.ok(most < 256 * MB, `${Math.round(most / MB)} MB`);
		await tokenFor(service, 'acme/multi-arch');
		assert.equal((await ask(service, '/acme/pinned', { from: '127.0.0.9' })).status, 200);
	});
}

test('clients that go before their page is there leave nothing of the budget behind', { timeout: 60_000 }, async (t) => {
	const size = ROWS['one release of as many services as there may be, with long names']!;
	const [source, gate] = [await startRelay(upstream.apiUrl), Promise.withResolvers<void>()];
	const api = await startRelay(source.url);
	t.after(() => Promise.all([source.close(), api.close()]));
	const slugIn = (url: string): string | undefined => /evil\/fleet-\d+/.exec(decodeURIComponent(url))?.[0];
	source.fault = ({ url }) => {
		const slug = slugIn(url);
		return slug === undefined ? undefined : hostileFleet(slug, size);
	};
	api.fault = ({ url }) => (slugIn(url) === undefined ? undefined : { after: gate.promise });
	const service = await startProcess(t, { apiUrl: api.url, registryUrl: upstream.registryUrl });
	await tokenFor(service, 'acme/pinned');
	const gone = new AbortController();
	const COUNT = 12;
	const pages = Array.from({ length: COUNT }, (_, i) => ask(service, `/evil/fleet-${i}`, { signal: gone.signal }).catch(() => undefined));
	await until(() => api.underWay === COUNT);
	gone.abort();
	await until(() => service.lines.filter(({ msg, aborted }) => msg === 'request' && aborted === true).length === COUNT);
	gate.resolve();
	await Promise.all(pages);
	await until(() => api.underWay === 0);
	for (let i = 0; i < COUNT; i++) {
		assert.equal((await ask(service, `/evil/fleet-${i}`)).status, 200);
	}
});
