import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CACHES_OFF, forgetRequests, setUp } from '../../support/setup.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { BROWSER, commit, DRAFT, manifest, queries, type Who } from './asking.ts';

/* Every form in which people name a release. */

const upstream = await sharedUpstream();

/** What a reference means: `slug rawVersion service`. */
const FOUND: [reference: string, rawVersion: string, service?: string][] = [
	[BROWSER, '2.4.0'],
	[`${BROWSER}/latest`, '2.4.0'],
	[`${BROWSER}/current`, '2.4.0'],
	[`${BROWSER}/default`, '2.4.0'],
	[`${BROWSER}/pinned`, '2.4.0'],
	['acme/pinned', '1.1.0'],
	['acme/pinned/latest', '1.1.0'],
	['acme/pinned/pinned', '1.1.0'],
	['acme/pinned/1.2.0', '1.2.0'],
	// A final release by its version, of the highest revision.
	[`${BROWSER}/2.4.0`, '2.4.0'],
	[`${BROWSER}/2.3.8`, '2.3.8+rev2'],
	[`${BROWSER}/1.10.0`, '1.10.0'],
	[`${BROWSER}/2.2.0`, '2.2.0'],
	// A draft by its whole version.
	[`${BROWSER}/${DRAFT}`, DRAFT],
	// Any by its commit.
	[`${BROWSER}/${commit('2.4.0')}`, '2.4.0'],
	[`${BROWSER}/${commit('2.3.8')}`, '2.3.8'],
	[`${BROWSER}/${commit('2.3.8+rev1')}`, '2.3.8+rev1'],
	[`${BROWSER}/${commit(DRAFT)}`, DRAFT],
	[`${BROWSER}/${commit('2.1.0')}`, '2.1.0'],
	// By the beginning of its commit.
	[`${BROWSER}/${commit('2.4.0').slice(0, 7)}`, '2.4.0'],
	[`${BROWSER}/${commit('2.3.8+rev1').slice(0, 12)}`, '2.3.8+rev1'],
	[`${BROWSER}/${commit(DRAFT).slice(0, 31)}`, DRAFT],
	[`${BROWSER}/c0ffee11`, '2.1.0'],
	[`${BROWSER}/c0ffee15`, '2.1.1'],
	// With the v that people put before a version.
	[`${BROWSER}/v2.4.0`, '2.4.0'],
	[`${BROWSER}/v2.3.8`, '2.3.8+rev2'],
	[`${BROWSER}/v${DRAFT}`, DRAFT],
	// The highest of a major or a minor.
	[`${BROWSER}/2`, '2.4.0'],
	[`${BROWSER}/1`, '1.10.0'],
	[`${BROWSER}/2.3`, '2.3.8+rev2'],
	[`${BROWSER}/2.1`, '2.1.1'],
	[`${BROWSER}/1.9`, '1.9.3'],
	[`${BROWSER}/v2`, '2.4.0'],
	[`${BROWSER}/v1.9`, '1.9.3'],
	// One of its services.
	[`${BROWSER}/2.4.0/main`, '2.4.0', 'main'],
	['acme/several/1.0.0/db', '1.0.0', 'db'],
	['acme/several/1.0.0/main', '1.0.0', 'main'],
	['acme/several/latest/proxy', '1.1.0', 'proxy'],
	['acme/several/v1.0.0/db', '1.0.0', 'db'],
	['acme/several/1/db', '1.1.0', 'db'],
	['acme/several/1.0/db', '1.0.0', 'db'],
	[`acme/several/${commit('1.0.0', 'acme/several')}/proxy`, '1.0.0', 'proxy'],
	[`acme/several/${commit('1.0.0', 'acme/several').slice(0, 8)}/proxy`, '1.0.0', 'proxy'],
];

const FOUND_BY_VERSION: typeof FOUND = [
	// In semver's order, and without build metadata.
	['acme/versions/3.0', '3.0.0'],
	['acme/versions/3.0.0-rc.1', '3.0.0-rc.1'],
	['acme/versions/3.1.0', '3.1.0+build5'],
	['acme/versions/3.1.0-build5', '3.1.0+build5'],
	['acme/versions/4', '4.0.0-beta.2'],
	['acme/versions/4.0.0-beta.2.1795641837460', '4.0.0-beta.2.1795641837460'],
	['acme/versions/5.0.0', '5.0.0+rev1'],
	['acme/versions/5.0', '5.0.0+rev1'],
	['acme/versions/5.0.0-rev1', '5.0.0+rev1'],
	['acme/versions/5.1.0', '5.1.0+dev'],
	['acme/versions/5.2', '5.2.0-rc.10'],
	[`${BROWSER}/2.3.8-rev1`, '2.3.8+rev1'],
	[`${BROWSER}/2.3.8_rev2`, '2.3.8+rev2'],
];

const FOUND_PRIVATE: typeof FOUND = [
	['acme/secret', '1.1.0'],
	['acme/secret/latest', '1.1.0'],
	['acme/secret/1.0.0', '1.0.0'],
	['acme/secret/v1.0.0', '1.0.0'],
	['acme/secret/1.0', '1.0.0'],
	['acme/secret/1.2.0-1700000000000', '1.2.0-1700000000000'],
	[`acme/secret/${commit('1.0.0', 'acme/secret')}`, '1.0.0'],
	[`acme/secret/${commit('1.0.0', 'acme/secret').slice(0, 7)}`, '1.0.0'],
	['acme/secret/1.1.0/main', '1.1.0', 'main'],
];
const OWNERS_ONLY: typeof FOUND = [
	['acme/secret-several/1.0.0/worker', '1.0.0', 'worker'],
	['acme/secret-several/latest/main', '1.0.0', 'main'],
];

test('references that mean an image, with one question to the API', async (t) => {
	const setup = await setUp(t, CACHES_OFF);
	const rows: [Who, typeof FOUND][] = [
		['anonymous', [...FOUND, ...FOUND_BY_VERSION]],
		['stranger', FOUND.slice(0, 12)],
		['owner', [...FOUND.slice(0, 12), ...FOUND_PRIVATE, ...OWNERS_ONLY]],
		['session', FOUND_PRIVATE.slice(0, 3)],
		['device', FOUND_PRIVATE],
	];
	for (const [who, references] of rows) {
		for (const [reference, rawVersion, service] of references) {
			await t.test(`${who}: ${reference} is ${rawVersion} ${service ?? ''}`, async () => {
				forgetRequests(setup);
				const answer = await manifest(setup, reference, who);
				assert.equal(answer.status, 200, answer.text);
				const [org, fleet] = reference.split('/');
				assert.equal(answer.headers['docker-content-digest'], imageOf(upstream, `${org}/${fleet}`, rawVersion, service).digest);
				assert.deepEqual(queries(setup), ['GET /v7/release']);
			});
		}
	}
});

test('no two references, and no two callers, share an answer: at the same time, and from memory', async (t) => {
	const setup = await setUp(t);
	// Every third of them: all at once take longer than anything is waited for, where the machine is busy.
	const asked: [Who, (typeof FOUND)[0]][] = [...FOUND.filter((_, i) => i % 3 === 0), ...FOUND_PRIVATE].flatMap((row) =>
		(['anonymous', 'owner', 'stranger'] as const).map((who): [Who, (typeof FOUND)[0]] => [who, row]),
	);
	for (const round of ['at the same time', 'from memory']) {
		await t.test(round, async () => {
			const answers = await Promise.all(asked.map(([who, [reference]]) => manifest(setup, reference, who)));
			for (const [i, [who, [reference, rawVersion, service]]] of asked.entries()) {
				const [org, fleet] = reference.split('/');
				const isVisible = who === 'owner' || fleet !== 'secret';
				assert.equal(answers[i]!.status, isVisible ? 200 : 404, `${who}: ${reference}`);
				assert.equal(
					answers[i]!.headers['docker-content-digest'],
					isVisible ? imageOf(upstream, `${org}/${fleet}`, rawVersion, service).digest : undefined,
					`${who}: ${reference}`,
				);
			}
		});
	}
});
