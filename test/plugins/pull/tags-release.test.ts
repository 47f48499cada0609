import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { startProxy, type Proxy } from '../../support/proxy.ts';
import { CACHES_OFF } from '../../support/setup.ts';
import { imageOf, releaseOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { needs } from '../../upstream/tools.ts';
import { balance } from '../../support/balance.ts';
import { copy, digestsOf } from '../../support/skopeo-copy.ts';
import { needsEngine, remainsOf, startEngine, type Engine } from '../../support/engine.ts';
import { pullEach, type Row } from '../../support/pull-each.ts';

/* TAGS=release: what a tag means to clients that ask for their token before they name it. */

const upstream = await sharedUpstream();
const BROWSER = 'balenalabs/browser-aarch64';
const SECRET = 'acme/secret';
const browser = imageOf(upstream, BROWSER);
const revised = imageOf(upstream, BROWSER, '2.3.8+rev2');
const multiArch = imageOf(upstream, 'acme/multi-arch', '1.0.0');

const ANYBODY: Row[] = [
	[BROWSER, browser],
	[`${BROWSER}:latest`, browser],
	[`${BROWSER}:current`, browser],
	[`${BROWSER}:2.3.8`, revised],
	[`${BROWSER}:v2.3.8`, revised],
	[`${BROWSER}:2`, browser],
	[`${BROWSER}:2.3`, revised],
	[`${BROWSER}:${releaseOf(upstream, BROWSER, '1.9.3').commit.slice(0, 8)}`, imageOf(upstream, BROWSER, '1.9.3')],
	[`${BROWSER}:2.4.1-1648554962021`, imageOf(upstream, BROWSER, '2.4.1-1648554962021')],
	// Behind a release, and behind a service, a tag is ignored as ever.
	[`${BROWSER}/2.3.8:2.4.0`, revised],
	['acme/several/1.0.0/db:1.1.0', imageOf(upstream, 'acme/several', '1.0.0', 'db')],
	['acme/multi-arch:1.0.0', multiArch],
	['acme/multi-arch:1.1', imageOf(upstream, 'acme/multi-arch', '1.1.0')],
	[`${BROWSER}@${imageOf(upstream, BROWSER, '1.10.0').digest}`, imageOf(upstream, BROWSER, '1.10.0')],
	[`acme/multi-arch@${multiArch.digest}`, multiArch],
	[`${BROWSER}:9.9.9`, /manifest unknown: balenalabs\/browser-aarch64 has no release 9\.9\.9; its latest is 2\.4\.0/],
	[`${BROWSER}:stable`, /manifest unknown: balenalabs\/browser-aarch64 has no release stable; its latest is 2\.4\.0/],
	[`${BROWSER}:2.5.0`, /did not build/],
	[`${BROWSER}@${multiArch.digest}`, /no release of balenalabs\/browser-aarch64 has sha256:/],
	['acme/several:1.0.0', /has several services: db, main, proxy; pull one of them, as in acme\/several\/1\.0\.0\/db/],
	['acme/empty:latest', /acme\/empty has no release to pull yet/],
	[`${SECRET}:1.0.0`, /there is no public fleet acme\/secret; if it is private, log in first/],
	['acme/not-there:1.0.0', /there is no public fleet acme\/not-there; if it is private, log in first/],
];

const OWNER: Row[] = [
	[SECRET, imageOf(upstream, SECRET)],
	[`${SECRET}:1.0.0`, imageOf(upstream, SECRET, '1.0.0')],
	[`${SECRET}:1`, imageOf(upstream, SECRET, '1.1.0')],
	[`${SECRET}:1.2.0-1700000000000`, imageOf(upstream, SECRET, '1.2.0-1700000000000')],
	[`${SECRET}@${imageOf(upstream, SECRET, '1.0.0').digest}`, imageOf(upstream, SECRET, '1.0.0')],
	[`${BROWSER}:2.3.8`, revised],
	[`${SECRET}:3`, /manifest unknown: acme\/secret has no release 3; its latest is 1\.1\.0/],
];

const STRANGER: Row[] = [
	[`${BROWSER}:2.3.8`, revised],
	[`${SECRET}:1.0.0`, /there is no fleet acme\/secret that this login may pull from/],
	['acme/not-there:1.0.0', /there is no fleet acme\/not-there that this login may pull from/],
];

const ROWS: [who: string, key: string | undefined, rows: Row[]][] = [
	['without a login', undefined, ANYBODY],
	["with the owner's key", upstream.keys.owner, OWNER],
	["with a stranger's key", upstream.keys.stranger, STRANGER],
];

const env = { TAGS: 'release', TOKEN_SECRET: 'known to every replica of these tests' };

const start = async (t: TestContext, more: Record<string, string> = {}): Promise<Proxy> => startProxy(t, upstream, { ...env, ...more });

/** The same has to come out of each. */
const INSTALLATIONS: [name: string, start: (t: TestContext) => Promise<{ host: string }>][] = [
	['one process', (t) => start(t)],
	['two replicas in turn', async (t) => balance(t, [await start(t), await start(t)], (_request, n) => n % 2)],
	// The one that is asked for a digest has never seen the tag whose manifest it was in.
	[
		'a replica for tokens, one for tags and one for digests, which remember nothing',
		async (t) =>
			balance(t, [await start(t, CACHES_OFF), await start(t, CACHES_OFF), await start(t, CACHES_OFF)], ({ url = '' }) =>
				url.includes('/sha256:') ? 2 : url.includes('/manifests/') ? 1 : 0,
			),
	],
];

describe('tags that mean releases: Docker Engine', needsEngine(), () => {
	let engine: Engine;
	before(async () => {
		engine = await startEngine();
	});
	after(async () => {
		await engine.stop();
		assert.deepEqual(await remainsOf(engine), []);
	});

	for (const [name, startInstallation] of INSTALLATIONS) {
		for (const [who, key, rows] of ROWS) {
			test(`${name}, ${who}`, async (t) => {
				const { host } = await startInstallation(t);
				if (key !== undefined) {
					assert.match((await engine.login(host, key)).printed, /Login Succeeded/);
				}
				await pullEach(t, engine, host, rows);
			});
		}
	}
});

describe('tags that mean releases: skopeo', needs('skopeo'), () => {
	for (const [name, startInstallation] of INSTALLATIONS) {
		for (const [who, key, rows] of ROWS) {
			test(`${name}, ${who}`, async (t) => {
				const { host } = await startInstallation(t);
				for (const [reference, expected] of rows) {
					const isSentence = expected instanceof RegExp;
					await t.test(`${reference}: ${isSentence ? expected.source : 'copied'}`, async () => {
						const { code, printed, digests } = await copy(host, reference, key);
						assert.equal(code, isSentence ? 1 : 0, printed);
						if (isSentence) {
							assert.match(printed, expected);
						} else {
							assert.deepEqual(digests, digestsOf(expected));
						}
					});
				}
			});
		}
	}
});
