import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { startProxy } from '../helper.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';
import { startEngine, type Engine } from './engine.ts';

const upstream = await sharedUpstream();
const BROWSER = 'balenablocks/browser-aarch64';
const SECRET = 'acme/secret';
const digestOf = (slug: string, version?: string): string => imageOf(upstream, slug, version).digest;

interface Row {
	reference: string;
	/** Digest of the image that is pulled, or what is said where none is. */
	pulled?: string;
	said?: RegExp;
}

const ANYBODY: Row[] = [
	{ reference: BROWSER, pulled: digestOf(BROWSER) },
	{ reference: `${BROWSER}/latest`, pulled: digestOf(BROWSER) },
	{ reference: `${BROWSER}/2.3.8`, pulled: digestOf(BROWSER, '2.3.8+rev2') },
	{ reference: `${BROWSER}/v2.3.8:tag-that-is-ignored`, pulled: digestOf(BROWSER, '2.3.8+rev2') },
	{ reference: `${BROWSER}/2.4.1-1648554962021`, pulled: digestOf(BROWSER, '2.4.1-1648554962021') },
	{ reference: `${BROWSER}/2.3.8@${digestOf(BROWSER, '2.3.8+rev2')}`, pulled: digestOf(BROWSER, '2.3.8+rev2') },
	{ reference: 'acme/multi-arch', pulled: digestOf('acme/multi-arch') },
	{ reference: 'acme/several/1.0.0/db', pulled: imageOf(upstream, 'acme/several', '1.0.0', 'db').digest },
	{ reference: `${BROWSER}/2.3.9`, said: /has no release 2\.3\.9; its latest is 2\.4\.0, and 2\.3\.8 exists/ },
	{ reference: 'acme/several', said: /has several services: db, main, proxy; pull one of them, as in acme\/several\/latest\/db/ },
	{ reference: SECRET, said: /there is no public fleet acme\/secret; if it is private, log in first/ },
	{ reference: 'alpine', said: /"alpine" is not a reference to a fleet/ },
];

const OWNER: Row[] = [
	{ reference: SECRET, pulled: digestOf(SECRET) },
	{ reference: `${SECRET}/1.0.0`, pulled: digestOf(SECRET, '1.0.0') },
	{ reference: 'acme/secret-several', said: /has several services/ },
];

const BY_TAG: Row[] = [
	{ reference: `${BROWSER}:2.3.8`, pulled: digestOf(BROWSER, '2.3.8+rev2') },
	{ reference: `${BROWSER}:2`, pulled: digestOf(BROWSER) },
	{ reference: `${BROWSER}:latest`, pulled: digestOf(BROWSER) },
	{ reference: `${BROWSER}@${digestOf(BROWSER, '1.9.3')}`, pulled: digestOf(BROWSER, '1.9.3') },
	{ reference: `${BROWSER}:9.9.9`, said: /has no release 9\.9\.9/ },
	{ reference: `${SECRET}:1.0.0`, pulled: digestOf(SECRET, '1.0.0') },
];

describe('Docker Engine', needs('dockerd', 'docker'), () => {
	let engine: Engine;
	before(async () => {
		engine = await startEngine();
	});
	after(() => engine.stop());

	async function pullAll(host: string, rows: Row[]): Promise<void> {
		for (const { reference, pulled, said } of rows) {
			const { code, printed } = await engine.docker('pull', `${host}/${reference}`);
			if (pulled !== undefined) {
				assert.ok(code === 0 && printed.includes(`Digest: ${pulled}`), `${reference}: ${printed}`);
			} else {
				assert.equal(code, 1, `${reference}: ${printed}`);
				assert.match(printed, said!);
			}
		}
	}

	const startAndLogin = async (t: TestContext, env: Record<string, string>, key: string): Promise<string> => {
		const { host } = await startProxy(t, upstream, env);
		assert.match((await engine.login(host, key)).printed, /Login Succeeded/);
		return host;
	};

	test('pulls what is public, and prints why something cannot be pulled', async (t) => {
		const { host } = await startProxy(t, upstream);
		await pullAll(host, ANYBODY);
	});

	test('pulls what is private after a login', async (t) => {
		await pullAll(await startAndLogin(t, {}, upstream.keys.owner), OWNER);
	});

	test('does not pull what its login may not see', async (t) => {
		await pullAll(await startAndLogin(t, {}, upstream.keys.stranger), [{ reference: SECRET, said: /there is no fleet acme\/secret that this login may pull from/ }]);
	});

	test('is told that a login is bad', async (t) => {
		const { host } = await startProxy(t, upstream);
		const { code, printed } = await engine.login(host, 'not-a-key');
		assert.equal(code, 1);
		assert.match(printed, /the login was refused: use any user name, and a valid balena API key/);
	});

	test('is told that it cannot push', async (t) => {
		const host = await startAndLogin(t, {}, upstream.keys.owner);
		await engine.docker('pull', `${host}/${BROWSER}`);
		await engine.docker('tag', `${host}/${BROWSER}`, `${host}/${SECRET}`);
		const { code, printed } = await engine.docker('push', `${host}/${SECRET}`);
		assert.equal(code, 1);
		assert.match(printed, /images can only be pulled through this proxy/);
	});

	test('pulls releases by tag with TAGS=release', async (t) => {
		await pullAll(await startAndLogin(t, { TAGS: 'release' }, upstream.keys.owner), BY_TAG);
	});
});
