import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startProxy } from '../support/proxy.ts';
import { imageOf, releaseOf, type ImageSummary } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';
import { copy, credentials, digestsOf } from '../support/skopeo-copy.ts';
import { run, type Outcome } from '../support/run.ts';

/* What comes out of references and logins in a terminal: every byte of the image that is meant, or the sentence that says why there is none. */

const upstream = await sharedUpstream();
const KEYS = {
	anonymous: undefined,
	owner: upstream.keys.owner,
	device: upstream.keys.device,
	stranger: upstream.keys.stranger,
	wrong: 'sampleKeyOfNobody000000000000009',
};
type Who = keyof typeof KEYS;
const EVERYBODY: Who[] = ['anonymous', 'owner', 'stranger'];
const ALLOWED: Who[] = ['owner', 'device'];

const BROWSER = 'balenalabs/browser-aarch64';
const COMMIT = releaseOf(upstream, BROWSER, '2.3.8').commit;
const browser = imageOf(upstream, BROWSER, '2.4.0');
const revised = imageOf(upstream, BROWSER, '2.3.8+rev2');
const index = imageOf(upstream, 'acme/multi-arch');
const secret = imageOf(upstream, 'acme/secret');
/** One platform of an index, as an image of its own. */
const arm: ImageSummary = { ...index, digest: index.platforms[1]!.digest, platforms: [index.platforms[1]!] };

const PULLED: [reference: string, image: ImageSummary, who?: Who[]][] = [
	[BROWSER, browser, EVERYBODY],
	[`${BROWSER}/latest`, browser],
	[`${BROWSER}/2.3.8`, revised, EVERYBODY],
	[`${BROWSER}/v2.3.8`, revised],
	[`${BROWSER}/2.3`, revised],
	[`${BROWSER}/2`, browser],
	[`${BROWSER}/1`, imageOf(upstream, BROWSER, '1.10.0')],
	[`${BROWSER}/${COMMIT}`, imageOf(upstream, BROWSER, '2.3.8')],
	[`${BROWSER}/${COMMIT.slice(0, 7)}`, imageOf(upstream, BROWSER, '2.3.8')],
	[`${BROWSER}/2.4.1-1648554962021`, imageOf(upstream, BROWSER, '2.4.1-1648554962021')],
	[`${BROWSER}:2.3.8`, revised],
	[`${BROWSER}:stable`, browser],
	[`${BROWSER}/2.3.8:2.4.0`, revised],
	[`${BROWSER}@${browser.digest}`, browser],
	[`${BROWSER}/2.3.8@${revised.digest}`, revised],
	['acme/pinned', imageOf(upstream, 'acme/pinned')],
	['acme/several/latest/db', imageOf(upstream, 'acme/several', '1.1.0', 'db')],
	['acme/several/1.0.0/proxy', imageOf(upstream, 'acme/several', '1.0.0', 'proxy')],
	['acme/multi-arch', index, EVERYBODY],
	['acme/multi-arch/1.0.0', imageOf(upstream, 'acme/multi-arch', '1.0.0')],
	[`acme/multi-arch@${arm.digest}`, arm],
	[browser.repository, browser],
	['acme/secret', secret, ALLOWED],
	['acme/secret/1.0.0', imageOf(upstream, 'acme/secret', '1.0.0'), ALLOWED],
	[`acme/secret@${secret.digest}`, secret, ALLOWED],
	['acme/secret/1.2.0-1700000000000', imageOf(upstream, 'acme/secret', '1.2.0-1700000000000'), ['owner']],
	['acme/secret-several/latest/worker', imageOf(upstream, 'acme/secret-several', '1.0.0', 'worker'), ['owner']],
	[secret.repository, secret, ['owner']],
];

const REFUSED: [reference: string, said: RegExp, who?: Who[]][] = [
	[`${BROWSER}/2.3.9`, /has no release 2\.3\.9; its latest is 2\.4\.0, and 2\.3\.8 exists/, EVERYBODY],
	[
		`${BROWSER}/2.4.1`,
		/release 2\.4\.1 of \S+ is a draft; pull it by its whole version, as in balenalabs\/browser-aarch64\/2\.4\.1-1648554962021/,
	],
	[`${BROWSER}/2.5.0`, /release 2\.5\.0 of \S+ did not build/],
	[`${BROWSER}/2.6.0`, /release 2\.6\.0 of \S+ is still building/],
	[
		`${BROWSER}/c0ffee1`,
		/several releases whose commit begins with c0ffee1: c0ffee15a2b34c45d56e67f78091a2b3 \(2\.1\.1\), c0ffee11d0a94be2b7f3a5c6d7e8f901 \(2\.1\.0\)/,
	],
	[`${BROWSER}@${secret.digest}`, /manifest unknown/],
	['acme/several', /has several services: db, main, proxy; pull one of them, as in acme\/several\/latest\/db/],
	['acme/several/1.0.0/cache', /has no service cache; it has: db, main, proxy/],
	['acme/empty', /acme\/empty has no release to pull yet/],
	['acme/not-there', /there is no public fleet acme\/not-there; if it is private, log in first/],
	['acme/not-there', /there is no fleet acme\/not-there that this login may pull from/, ['owner', 'stranger']],
	// The same words for what is there but not for this caller.
	['acme/secret', /there is no public fleet acme\/secret; if it is private, log in first/],
	['acme/secret', /there is no fleet acme\/secret that this login may pull from/, ['stranger']],
	['acme/secret/1.0.0', /there is no fleet acme\/secret that this login may pull from/, ['stranger']],
	['acme/secret-several', /there is no fleet acme\/secret-several that this login may pull from/, ['device']],
	[`acme/secret@${secret.digest}`, /there is no fleet acme\/secret that this login may pull from/, ['stranger']],
	// The registry decides about its own names, and its words for what is not allowed are these.
	[secret.repository, /denied|unauthorized|authentication required/i, ['anonymous', 'stranger']],
	[
		BROWSER,
		/invalid username\/password: unauthorized: the login was refused: use any user name, and a valid balena API key as the password/,
		['wrong'],
	],
	['acme/secret', /the login was refused/, ['wrong']],
	['alpine', /alpine\\" is not a reference to a fleet: use <org>\/<fleet>/],
];

test('skopeo', needs('skopeo'), async (t) => {
	const { host } = await startProxy(t, upstream);

	for (const [reference, image, everyone = ['anonymous' as const]] of PULLED) {
		for (const who of everyone) {
			await t.test(`${who} gets ${reference}`, async () => {
				const { code, printed, digests } = await copy(host, reference, KEYS[who]);
				assert.equal(code, 0, printed);
				assert.deepEqual(digests, digestsOf(image));
			});
		}
	}

	for (const [reference, said, everyone = ['anonymous' as const]] of REFUSED) {
		for (const who of everyone) {
			await t.test(`${who} is told why not ${reference}: ${said.source}`, async () => {
				const { code, printed, digests } = await copy(host, reference, KEYS[who]);
				assert.equal(code, 1, printed);
				assert.match(printed, said);
				assert.deepEqual(digests, []);
			});
		}
	}

	await t.test('lists the versions of a fleet', async () => {
		const { code, printed } = await run('skopeo', ['list-tags', '--tls-verify=false', '--no-creds', `docker://${host}/${BROWSER}`]);
		assert.equal(code, 0, printed);
		assert.deepEqual((JSON.parse(printed) as { Tags: string[] }).Tags, ['1.10.0', '1.9.3', '2.1.0', '2.1.1', '2.2.0', '2.3.8', '2.4.0']);
	});

	await t.test('lists nothing of a private fleet to a stranger, who learns what is said of one that is not there', async () => {
		const list = (slug: string): Promise<Outcome> =>
			run('skopeo', ['list-tags', '--tls-verify=false', ...credentials(KEYS.stranger), `docker://${host}/${slug}`]);
		const hidden = await list('acme/secret');
		assert.equal(hidden.code, 1);
		const withoutTime = ({ printed }: Outcome): string => printed.replace(/time="[^"]*"/, '').replaceAll(/acme\/[a-z-]+/g, '');
		assert.equal(withoutTime(hidden), withoutTime(await list('acme/not-there')));
	});

	await t.test('inspects an image, which asks for its tags as well', async () => {
		const { code, printed } = await run('skopeo', ['inspect', '--tls-verify=false', '--no-creds', `docker://${host}/${BROWSER}/2.3.8`]);
		assert.equal(code, 0, printed);
		const { Digest, RepoTags } = JSON.parse(printed) as { Digest: string; RepoTags: string[] };
		assert.deepEqual({ Digest, RepoTags }, { Digest: revised.digest, RepoTags: ['latest'] });
	});

	await t.test('logs in with a good key, and is told that another is bad', async (t) => {
		const directory = await mkdtemp(join(tmpdir(), 'login-'));
		t.after(() => rm(directory, { recursive: true }));
		const login = (key: string): Promise<Outcome> =>
			run(
				'skopeo',
				['login', '--tls-verify=false', '--authfile', join(directory, 'auth.json'), '--username', 'anyone', '--password-stdin', host],
				{ input: key },
			);
		assert.match((await login(KEYS.owner!)).printed, /Login Succeeded/);
		const { code, printed } = await login(KEYS.wrong!);
		assert.equal(code, 1);
		assert.match(printed, /the login was refused|invalid username\/password/);
	});

	await t.test('is told that it cannot push', async () => {
		const image = `docker://${host}/${BROWSER}`;
		const { code, printed } = await run('skopeo', [
			'copy',
			'--src-tls-verify=false',
			'--dest-tls-verify=false',
			...credentials(KEYS.owner, 'src-'),
			...credentials(KEYS.owner, 'dest-'),
			`${image}/2.3.8`,
			image,
		]);
		assert.equal(code, 1);
		assert.match(printed, /images can only be pulled through this proxy/);
	});
});
