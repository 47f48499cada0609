import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startProxy } from '../helper.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';

const upstream = await sharedUpstream();
const BROWSER = 'balenablocks/browser-aarch64';

describe('pages', () => {
	const rows: { path: string; status: number; has?: RegExp; hasNot?: RegExp }[] = [
		{ path: '/', status: 200, has: /Try a reference/ },
		{ path: `/?reference=${BROWSER}/2.3`, status: 200, has: /is release 2\.3\.8\+rev2/ },
		{ path: '/?reference=docker+pull+bh.cr/acme/several', status: 200, has: /has several services: db, main, proxy/ },
		{ path: '/?reference=acme/secret', status: 200, has: /there is no public fleet acme\/secret/i },
		{ path: '/?reference=%3Cscript%3E', status: 200, hasNot: /<script>[^\n]* is not/ },
		{ path: `/${BROWSER}`, status: 200, has: new RegExp(`${BROWSER}/2\\.4\\.0@${imageOf(upstream, BROWSER).digest}`), hasNot: /1648554962021|2\.5\.0|2\.6\.0/ },
		{ path: `/${BROWSER}/2.3.8`, status: 200, has: new RegExp(imageOf(upstream, BROWSER, '2.3.8+rev2').digest) },
		{ path: `/${BROWSER}/2.4.1-1648554962021`, status: 200, has: new RegExp(imageOf(upstream, BROWSER, '2.4.1-1648554962021').digest) },
		{ path: `/${BROWSER}/9.9.9`, status: 404, has: /has no release 9\.9\.9; its latest is 2\.4\.0/ },
		{ path: '/acme/several/1.0.0/db', status: 200, has: /acme\/several\/1\.0\.0\/db/ },
		{ path: '/acme/secret', status: 404, has: /there is no public fleet acme\/secret/i },
		{ path: '/acme/not-there', status: 404, has: /there is no public fleet acme\/not-there/i },
		{ path: '/acme/empty', status: 200, has: /no release to pull yet/ },
		{ path: '/robots.txt', status: 200, has: /Disallow: \/v2\// },
	];
	for (const { path, status, has, hasNot } of rows) {
		test(`${path} is ${status}`, async (t) => {
			const { url } = await startProxy(t, upstream);
			const response = await fetch(url + path);
			const text = await response.text();
			assert.equal(response.status, status, text);
			assert.match(text, has ?? /./);
			assert.doesNotMatch(text, hasNot ?? /\u0000/);
		});
	}

	test('what is private and what is not there differ in nothing but the name', async (t) => {
		const { url } = await startProxy(t, upstream);
		const [hidden, absent] = await Promise.all(['acme/secret', 'acme/absent'].map(async (slug) => (await (await fetch(`${url}/${slug}`)).text()).replaceAll(slug, 'X')));
		assert.equal(hidden, absent);
	});

	test('load nothing, and are not loaded into others', async (t) => {
		const { url } = await startProxy(t, upstream);
		const { headers } = await fetch(`${url}/${BROWSER}`);
		assert.match(headers.get('content-security-policy') ?? '', /^default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/);
		assert.equal(headers.get('x-content-type-options'), 'nosniff');
	});

	test('are not sent again to a browser that has them', async (t) => {
		const { url } = await startProxy(t, upstream);
		const first = await fetch(`${url}/${BROWSER}`);
		const second = await fetch(`${url}/${BROWSER}`, { headers: { 'if-none-match': first.headers.get('etag')! } });
		assert.deepEqual([second.status, await second.text()], [304, '']);
	});

	test('have a limit of their own, also where the other one is off', async (t) => {
		const { url } = await startProxy(t, upstream, { RATE_LIMIT_MAX: '0' });
		const statuses = [];
		for (let i = 0; i < 125; i++) {
			statuses.push((await fetch(`${url}/`)).status);
		}
		assert.deepEqual([statuses.filter((status) => status === 200).length, statuses.at(-1)], [120, 429]);
		assert.equal((await fetch(`${url}/v2/`)).status, 401);
	});

	test('can be switched off', async (t) => {
		const { url } = await startProxy(t, upstream, { LANDING_PAGE: 'off' });
		for (const path of ['/', `/${BROWSER}`]) {
			const response = await fetch(url + path);
			assert.deepEqual([response.status, response.headers.get('content-type')], [404, 'application/json']);
		}
	});

	test('leave the other addresses alone', async (t) => {
		const { url } = await startProxy(t, upstream);
		assert.equal(await (await fetch(`${url}/ping`)).text(), 'pong');
		assert.equal((await fetch(`${url}/v2/acme/empty`)).headers.get('content-type'), 'application/json');
		assert.equal((await fetch(`${url}/auth/v1/token`)).status, 200);
	});
});
