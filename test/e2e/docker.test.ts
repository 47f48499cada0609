import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { startProxy } from '../support/proxy.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needsEngine, remainsOf, startEngine, type Engine } from '../support/engine.ts';
import { pullEach, type Row } from '../support/pull-each.ts';

const upstream = await sharedUpstream();
const BROWSER = 'balenalabs/browser-aarch64';
const SECRET = 'acme/secret';
const browser = imageOf(upstream, BROWSER);
const revised = imageOf(upstream, BROWSER, '2.3.8+rev2');
const index = imageOf(upstream, 'acme/multi-arch');
const secret = imageOf(upstream, SECRET);

const ANYBODY: Row[] = [
	[BROWSER, browser],
	[`${BROWSER}/latest`, browser],
	[`${BROWSER}/2.3.8`, revised],
	[`${BROWSER}/v2.3.8:tag-that-is-ignored`, revised],
	[`${BROWSER}/2.4.1-1648554962021`, imageOf(upstream, BROWSER, '2.4.1-1648554962021')],
	[`${BROWSER}/2.3.8@${revised.digest}`, revised],
	[`${BROWSER}@${browser.digest}`, browser],
	['acme/multi-arch', index],
	['acme/multi-arch/1.0.0', imageOf(upstream, 'acme/multi-arch', '1.0.0')],
	[`acme/multi-arch@${index.digest}`, index],
	['acme/several/1.0.0/db', imageOf(upstream, 'acme/several', '1.0.0', 'db')],
	[`${BROWSER}/2.3.9`, /has no release 2\.3\.9; its latest is 2\.4\.0, and 2\.3\.8 exists/],
	['acme/several', /has several services: db, main, proxy; pull one of them, as in acme\/several\/latest\/db/],
	['acme/not-there', /there is no public fleet acme\/not-there; if it is private, log in first/],
	[SECRET, /there is no public fleet acme\/secret; if it is private, log in first/],
	[`${SECRET}@${secret.digest}`, /there is no public fleet acme\/secret; if it is private, log in first/],
	['alpine', /"alpine" is not a reference to a fleet/],
];

const OWNER: Row[] = [
	[SECRET, secret],
	[`${SECRET}/1.0.0`, imageOf(upstream, SECRET, '1.0.0')],
	[`${SECRET}@${secret.digest}`, secret],
	['acme/secret-several/latest/worker', imageOf(upstream, 'acme/secret-several', '1.0.0', 'worker')],
	[BROWSER, browser],
	['acme/secret-several', /has several services: main, worker/],
];

const STRANGER: Row[] = [
	[BROWSER, browser],
	[SECRET, /there is no fleet acme\/secret that this login may pull from/],
	['acme/not-there', /there is no fleet acme\/not-there that this login may pull from/],
];

describe('Docker Engine', needsEngine(), () => {
	let engine: Engine;
	before(async () => {
		engine = await startEngine();
	});
	after(async () => {
		await engine.stop();
		assert.deepEqual(await remainsOf(engine), []);
	});

	async function startAndLogin(t: TestContext, key: string): Promise<string> {
		const { host } = await startProxy(t, upstream);
		const { code, printed } = await engine.login(host, key);
		assert.equal(code, 0, printed);
		assert.match(printed, /Login Succeeded/);
		return host;
	}

	test('without a login', async (t) => pullEach(t, engine, (await startProxy(t, upstream)).host, ANYBODY));

	test("with the owner's key", async (t) => pullEach(t, engine, await startAndLogin(t, upstream.keys.owner), OWNER));

	test("with a stranger's key", async (t) => pullEach(t, engine, await startAndLogin(t, upstream.keys.stranger), STRANGER));

	test('is told that a login is bad', async (t) => {
		const { host } = await startProxy(t, upstream);
		const { code, printed } = await engine.login(host, 'not-a-key');
		assert.equal(code, 1);
		assert.match(printed, /the login was refused: use any user name, and a valid balena API key/);
	});

	test('is told that it cannot push', async (t) => {
		const host = await startAndLogin(t, upstream.keys.owner);
		await engine.docker('pull', `${host}/${BROWSER}`);
		await engine.docker('tag', `${host}/${BROWSER}`, `${host}/${SECRET}`);
		const { code, printed } = await engine.docker('push', `${host}/${SECRET}`);
		assert.equal(code, 1);
		assert.match(printed, /images can only be pulled through this proxy/);
	});
});
