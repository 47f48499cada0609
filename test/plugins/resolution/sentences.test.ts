import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertError, CACHES_OFF, forgetRequests, seen, setUp } from '../../support/setup.ts';
import { BROWSER, commit, DRAFT, manifest, queries, type Who } from './asking.ts';

/* Every sentence that answers a name that cannot be pulled. */

const ITS_LATEST = 'its latest is 2.4.0';

const LOG_IN = 'if it is private, log in first, with any user name and a balena API key as the password';
const DISPLAY = 'there are acme/display-aarch64, acme/display-amd64 and acme/display-armv7hf';

/** What is asked of the API: first what the reference means, then which fleets there are, then what is near in the fleet, or fleets of the same name. */
const ASKED = {
	once: ['release'],
	/** A text that no release can be called. */
	nothing: ['application'],
	noRelease: ['release', 'application'],
	/** What has the name and cannot be pulled. */
	near: ['release', 'application', 'release'],
	/** The same, and the closest versions. */
	version: ['release', 'application', 'release', 'release'],
	absent: ['release', 'application', 'application'],
	absentWord: ['application', 'application'],
};

type Sentence = [reference: string, sentence: string, asked: string[]];

/** What is said of a reference, and by which questions it was found out. */
const SENTENCES: Sentence[] = [
	[`${BROWSER}/2.3.9`, `${BROWSER} has no release 2.3.9; ${ITS_LATEST}, and 2.3.8 exists`, ASKED.version],
	[`${BROWSER}/v2.3.9`, `${BROWSER} has no release v2.3.9; ${ITS_LATEST}, and 2.3.8 exists`, ASKED.version],
	[`${BROWSER}/1.9.9`, `${BROWSER} has no release 1.9.9; ${ITS_LATEST}, and 1.9.3 exists`, ASKED.version],
	[`${BROWSER}/1.20.0`, `${BROWSER} has no release 1.20.0; ${ITS_LATEST}, and 1.10.0 exists`, ASKED.version],
	[`${BROWSER}/2.1.5`, `${BROWSER} has no release 2.1.5; ${ITS_LATEST}, and 2.1.1 exists`, ASKED.version],
	[`${BROWSER}/2.9.0`, `${BROWSER} has no release 2.9.0; ${ITS_LATEST}`, ASKED.version],
	[`${BROWSER}/9.9.9`, `${BROWSER} has no release 9.9.9; ${ITS_LATEST}`, ASKED.version],
	[`${BROWSER}/3`, `${BROWSER} has no release 3; ${ITS_LATEST}`, ASKED.near],
	[`${BROWSER}/stable`, `${BROWSER} has no release stable; ${ITS_LATEST}`, ASKED.nothing],
	[`${BROWSER}/deadbeef`, `${BROWSER} has no release deadbeef; ${ITS_LATEST}`, ASKED.near],
	[`${BROWSER}/c0ffee`, `${BROWSER} has no release c0ffee; ${ITS_LATEST}`, ASKED.nothing],
	[`${BROWSER}/2.4.1`, `release 2.4.1 of ${BROWSER} is a draft; pull it by its whole version, as in ${BROWSER}/${DRAFT}`, ASKED.version],
	[`${BROWSER}/v2.4.1`, `release v2.4.1 of ${BROWSER} is a draft; pull it by its whole version, as in ${BROWSER}/${DRAFT}`, ASKED.version],
	[`${BROWSER}/2.5.0`, `release 2.5.0 of ${BROWSER} did not build (its status is "failed"); ${ITS_LATEST}`, ASKED.version],
	[
		`${BROWSER}/${commit('2.5.0')}`,
		`release ${commit('2.5.0')} of ${BROWSER} did not build (its status is "failed"); ${ITS_LATEST}`,
		ASKED.near,
	],
	[`${BROWSER}/2.6.0`, `release 2.6.0 of ${BROWSER} is still building; ${ITS_LATEST}`, ASKED.version],
	[`${BROWSER}/2.6.0/main`, `release 2.6.0 of ${BROWSER} is still building; ${ITS_LATEST}`, ASKED.version],
	[
		`${BROWSER}/c0ffee1`,
		`${BROWSER} has several releases whose commit begins with c0ffee1: ${commit('2.1.1')} (2.1.1), ${commit('2.1.0')} (2.1.0)`,
		ASKED.once,
	],
	[
		`${BROWSER}/2.4.0/worker`,
		`release 2.4.0 of ${BROWSER} has no service worker; it has: main; pull one of them, as in ${BROWSER}/2.4.0/main`,
		ASKED.once,
	],
	[
		'acme/several',
		'release 1.1.0 of acme/several has several services: db, main, proxy; pull one of them, as in acme/several/latest/db',
		ASKED.once,
	],
	[
		'acme/several/1.0.0',
		'release 1.0.0 of acme/several has several services: db, main, proxy; pull one of them, as in acme/several/1.0.0/db',
		ASKED.once,
	],
	[
		'acme/several/1',
		'release 1.1.0 of acme/several has several services: db, main, proxy; pull one of them, as in acme/several/1/db',
		ASKED.once,
	],
	[
		'acme/several/1.0.0/nope',
		'release 1.0.0 of acme/several has no service nope; it has: db, main, proxy; pull one of them, as in acme/several/1.0.0/db',
		ASKED.once,
	],
	['acme/several/2.0.0/db', 'acme/several has no release 2.0.0; its latest is 1.1.0', ASKED.version],
	['acme/empty', 'acme/empty has no release to pull yet', ASKED.noRelease],
	['acme/empty/1.0.0', 'acme/empty has no release 1.0.0; it has no finished release yet', ASKED.version],
	// Between two that are not near each other.
	[
		'acme/versions/4.0.0-rc.1',
		'acme/versions has no release 4.0.0-rc.1; its latest is 5.2.0-rc.10, and 4.0.0-beta.2 exists',
		ASKED.version,
	],
	['acme/versions/9', 'acme/versions has no release 9; its latest is 5.2.0-rc.10', ASKED.near],
	['acme/versions/2147483648.0.0', 'acme/versions has no release 2147483648.0.0; its latest is 5.2.0-rc.10', ASKED.nothing],
	// What was meant.
	['acme/several/db', 'acme/several has no release db, but a service of that name; pull it as acme/several/latest/db', ASKED.nothing],
	['acme/display-amd64/arm64', 'acme/display-amd64 has no release arm64; there is acme/display-aarch64', ASKED.nothing],
	['acme/display/aarch64', `there is no public fleet acme/display; ${DISPLAY}`, ASKED.absentWord],
	...['-arm64', '-arm32', '-armv7hl', '_aarch64', '-x86'].map((end): Sentence => [
		`acme/display${end}`,
		`there is no public fleet acme/display${end}; ${DISPLAY}`,
		ASKED.absent,
	]),
	['someone/acme/display-aarch64', 'there is no public fleet someone/acme; there is acme/display-aarch64', ASKED.absentWord],
	['someone/acme/multi-arch/1.0.0', 'there is no public fleet someone/acme; there is acme/multi-arch/1.0.0', ASKED.absentWord],
	[
		'elsewhere/display-aarch64',
		`there is no public fleet elsewhere/display-aarch64; acme/display-aarch64 and balenalabs/display-aarch64 exist; ${LOG_IN}`,
		ASKED.absent,
	],
	// One that is private is no neighbour.
	['acme/display-rpi', `there is no public fleet acme/display-rpi; ${DISPLAY}`, ASKED.absent],
	['acme/display-i386', `there is no public fleet acme/display-i386; ${DISPLAY}`, ASKED.absent],
];

const noPublic = (slug: string): string =>
	`there is no public fleet ${slug}; if it is private, log in first, with any user name and a balena API key as the password`;
const noFleet = (slug: string): string =>
	`there is no fleet ${slug} that this login may pull from; check the name, and whether the API key's user has access to it`;

test('what is remembered of a name is told with the words of who asks', async (t) => {
	const setup = await setUp(t);
	for (const end of ['', '/1.0.0', '/1.1.0', '']) {
		const sentence = `there is no public fleet someone/acme; there is acme/multi-arch${end}`;
		assert.equal(assertError(await manifest(setup, `someone/acme/multi-arch${end}`, 'anonymous'), 404, 'NAME_UNKNOWN'), sentence);
	}
	assert.equal(queries(setup).length, 2, 'it is asked for once');
});

test('references that mean none, and what is said, with no more questions to the API than are needed', async (t) => {
	const setup = await setUp(t, CACHES_OFF);
	const hidden = ['acme/nowhere', 'nobody/nowhere', 'acme/secret', 'acme/secret-several'].flatMap((slug) => [
		slug,
		`${slug}/latest`,
		`${slug}/1.0.0`,
		`${slug}/1.0.0/main`,
		`${slug}/c0ffee1`,
	]);
	const rows: [Who, Sentence[]][] = [
		['anonymous', [...SENTENCES, ...hidden.map((name): Sentence => [name, noPublic(name.split('/', 2).join('/')), ASKED.absent])]],
		[
			'stranger',
			[...SENTENCES.slice(0, 3), ...hidden.map((name): Sentence => [name, noFleet(name.split('/', 2).join('/')), ASKED.absent])],
		],
		['device', [['acme/secret-several', noFleet('acme/secret-several'), ASKED.absent]]],
		[
			'owner',
			[
				...SENTENCES.slice(0, 3),
				['acme/nowhere', noFleet('acme/nowhere'), ASKED.absent],
				['acme/secret/1.0.1', 'acme/secret has no release 1.0.1; its latest is 1.1.0, and 1.0.0 exists', ASKED.version],
				[
					'acme/secret/1.2.0',
					'release 1.2.0 of acme/secret is a draft; pull it by its whole version, as in acme/secret/1.2.0-1700000000000',
					ASKED.version,
				],
				[
					'acme/secret-several',
					'release 1.0.0 of acme/secret-several has several services: main, worker; pull one of them, as in acme/secret-several/latest/main',
					ASKED.once,
				],
			],
		],
	];
	for (const [who, sentences] of rows) {
		for (const [reference, sentence, asked] of sentences) {
			await t.test(`${who}: ${reference}`, async () => {
				forgetRequests(setup);
				const answer = await manifest(setup, reference, who);
				assert.equal(assertError(answer, 404, 'NAME_UNKNOWN'), sentence);
				// Where a client hides the body.
				assert.equal(answer.reason, sentence);
				assert.equal(answer.headers['warning'], `299 - "${sentence.replaceAll('"', "'")}"`);
				assert.deepEqual(
					queries(setup),
					asked.map((resource) => `GET /v7/${resource}`),
				);
				assert.deepEqual(
					seen(setup.registry, ({ url }) => url !== '/v2/'),
					[],
				);
			});
		}
	}

	await t.test('what the sentences propose works', async () => {
		const proposed = new Set(SENTENCES.map(([, sentence]) => /as in (\S+)$/.exec(sentence)?.[1]).filter((name) => name !== undefined));
		assert.ok(proposed.size >= 5);
		for (const name of proposed) {
			assert.equal((await manifest(setup, name, 'anonymous')).status, 200, name);
		}
	});

	for (const agent of ['containerd/1.6.20+ds1', 'buildkit/v0.12', 'Docker-Client containerd-client/2.0']) {
		await t.test(`${agent} shows the sentence of a refusal, but not of a 404`, async () => {
			const answer = await manifest(setup, `${BROWSER}/2.3.9`, 'anonymous', { 'user-agent': agent });
			assert.equal(assertError(answer, 403, 'DENIED'), SENTENCES[0]![1]);
			assert.equal(answer.reason, SENTENCES[0]![1]);
		});
	}
});
