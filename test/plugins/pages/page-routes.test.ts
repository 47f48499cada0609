import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startProxy } from '../../support/proxy.ts';
import { ask } from '../../support/setup.ts';
import { imageOf, releaseOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';

/* Which addresses are pages, and what is on them. */

const upstream = await sharedUpstream();
const BROWSER = 'balenalabs/browser-aarch64';
const SEVERAL = 'acme/several';
const commitOf = (version: string): string => releaseOf(upstream, BROWSER, version).commit;
const digestOf = (version?: string): string => imageOf(upstream, BROWSER, version).digest;

describe('pages', () => {
	const rows: { path: string; status?: number; has: RegExp[]; hasNot?: RegExp[] }[] = [
		{
			path: `/${BROWSER}`,
			has: [/<h2>Release 2\.4\.0 <span[^>]*>tracked/, new RegExp(`${BROWSER}/2\\.4\\.0@${digestOf()}`), /aarch64/, /kB/],
			hasNot: [/1648554962021|2\.5\.0|2\.6\.0/],
		},
		{ path: `/${BROWSER}/latest`, has: [/<h2>Release 2\.4\.0 /] },
		// Of several revisions, the plain version means the highest; the others are named by their commits.
		{
			path: `/${BROWSER}/2.3.8`,
			has: [new RegExp(`2\\.3\\.8@${digestOf('2.3.8+rev2')}`), new RegExp(`href="/${BROWSER}/${commitOf('2.3.8')}">2\\.3\\.8<`)],
		},
		{ path: `/${BROWSER}/${commitOf('2.3.8+rev1')}`, has: [new RegExp(digestOf('2.3.8+rev1'))] },
		{ path: `/${BROWSER}/${commitOf('2.4.0').slice(0, 9)}`, has: [/<h2>Release 2\.4\.0 /] },
		{ path: `/${BROWSER}/v2.4.0`, has: [/docker pull [^ ]*\/2\.4\.0\n/] },
		{ path: `/${BROWSER}/2.1`, has: [/<h2>Release 2\.1\.1</] },
		{ path: `/${BROWSER}/2.2.0`, has: [/<h2>Release 2\.2\.0 <span[^>]*>invalidated/] },
		// A draft is in no list, but has a page for those who know its name.
		{
			path: `/${BROWSER}/2.4.1-1648554962021`,
			has: [
				/<h2>Release 2\.4\.1-1648554962021</,
				new RegExp(digestOf('2.4.1-1648554962021')),
				new RegExp(commitOf('2.4.1-1648554962021')),
				/<time>2022-/,
			],
		},
		{
			path: `/${BROWSER}/9.9.9`,
			status: 404,
			has: [/>balenalabs\/browser-aarch64 has no release 9\.9\.9; its latest is 2\.4\.0/, new RegExp(`href="/${BROWSER}"`)],
		},
		{ path: `/${BROWSER}/2.5.0`, status: 404, has: [/did not build/] },
		{ path: `/${BROWSER}/c0ffee1`, status: 404, has: [/several releases whose commit begins with c0ffee1/] },
		// The release that a fleet is pinned to, though there is a newer one.
		{ path: '/acme/pinned', has: [/<h2>Release 1\.1\.0 <span[^>]*>tracked/, />1\.2\.0</] },
		{
			path: `/${SEVERAL}/1.0.0`,
			has: [/docker pull [^ ]*\/1\.0\.0\/db\n/, /docker pull [^ ]*\/1\.0\.0\/main\n/, /docker pull [^ ]*\/1\.0\.0\/proxy\n/],
		},
		{ path: `/${SEVERAL}`, has: [/docker pull [^ ]*\/1\.1\.0\/db\n/] },
		{ path: `/${SEVERAL}/1.0.0/db`, has: [/Release 1\.0\.0, service db/, /docker pull [^ ]*\/1\.0\.0\/db\n/], hasNot: [/1\.0\.0\/main/] },
		{ path: `/${SEVERAL}/latest/DB`, has: [/Release 1\.1\.0, service db/], hasNot: [/1\.1\.0\/main/] },
		{
			path: `/${SEVERAL}/1.0.0/nope`,
			status: 404,
			has: [/has no service nope; it has: db, main, proxy/, new RegExp(`href="/${SEVERAL}"`)],
		},
		{ path: `/${SEVERAL}/latest/nope`, status: 404, has: [/has no service nope/] },
		{ path: `/${BROWSER}/2.4.0/main`, has: [/docker pull [^ ]*\/2\.4\.0\n/] },
		{ path: '/ACME/Several', has: [/<h1>several</] },
		{ path: '/acme/empty', has: [/no release to pull yet/] },
		{ path: '/acme/empty/1.0.0', status: 404, has: [/acme\/empty has no release 1\.0\.0/] },
		{ path: '/acme/secret', status: 404, has: [/There is no public fleet acme\/secret/], hasNot: [/href="\/acme/] },
		{ path: '/acme/not-there', status: 404, has: [/There is no public fleet acme\/not-there/] },
		{ path: '/acme/%3Cscript%3Ex', status: 404, has: [/Replace the template variable &lt;script&gt; in the name/], hasNot: [/<script>x/] },
		{ path: '/acme/display-%%BALENA_ARCH%%', status: 404, has: [/Replace the template variable %%BALENA_ARCH%% in the name/i] },
		{
			path: '/acme/display',
			has: [
				/<h1>display</,
				/docker pull [^ ]*\/acme\/display\n/,
				/<td>amd64<\/td>\s*<td><a href="\/acme\/display-amd64\/1\.1\.0">acme\/display-amd64<\/a><\/td>\s*<td>1\.1\.0<\/td>\s*<td>[\d.]+ kB<\/td>/,
				new RegExp(imageOf(upstream, 'acme/display-armv7hf').digest),
			],
			hasNot: [/rpi/, /<arch>/],
		},
		{ path: '/acme/display/1.1.0', has: [/docker pull [^ ]*\/acme\/display\/1\.1\.0\n/], hasNot: [/armv7hf/] },
		{
			path: '/acme/several-parts/1.0.0/db',
			has: [/docker pull [^ ]*\/acme\/several-parts\/1\.0\.0\/db\n/, /href="\/acme\/several-parts-amd64\/1\.0\.0\/db"/],
		},
		{ path: '/acme/display/9.9.9', status: 404, has: [/acme\/display has no release 9\.9\.9; its latest is 1\.1\.0/] },
		{ path: '/acme/veiled', status: 404, has: [/There is no public fleet acme\/veiled; if it is private/], hasNot: [/veiled-/] },
		{ path: `/v2.x/${'a'.repeat(32)}`, status: 404, has: [/no public fleet/] },
	];
	test('by their addresses', async (t) => {
		const { url } = await startProxy(t, upstream);
		for (const { path, status = 200, has, hasNot = [] } of rows) {
			await t.test(`${path} is ${status}`, async () => {
				const response = await fetch(url + path);
				const text = await response.text();
				assert.deepEqual([response.status, response.headers.get('content-type')], [status, 'text/html; charset=utf-8'], text);
				has.forEach((part) => assert.match(text, part));
				hasNot.forEach((part) => assert.doesNotMatch(text, part));
			});
		}
	});

	test('show the release that a fleet tracks, however old it is', async (t) => {
		const { url, app } = await startProxy(t, upstream);
		const { query } = app.api;
		t.mock.method(app.api, 'query', async (...[resource, ...rest]: Parameters<typeof query>) => {
			const rows = (await query(resource, ...rest)) as { owns__release: { raw_version: string }[] }[];
			return resource === 'application'
				? rows.map((row) => ({ ...row, owns__release: row.owns__release.filter((release) => release.raw_version === '2.3.8') }))
				: rows;
		});
		const text = await (await fetch(`${url}/${BROWSER}`)).text();
		assert.match(text, /<h2>Release 2\.4\.0 <span[^>]*>tracked/);
		assert.match(text, new RegExp(`${commitOf('2.4.0')}@${digestOf()}`));
	});
});

describe('what is private and what is not there', () => {
	test('differ in nothing but the name', async (t) => {
		const { url } = await startProxy(t, upstream);
		for (const path of ['', '/1.1.0', '/latest', '/1.1.0/main', '/9.9.9', '/1.2.0-1700000000000']) {
			const [hidden, absent] = await Promise.all(
				['acme/secret', 'acme/absent'].map(async (slug) => {
					const response = await fetch(`${url}/${slug}${path}`);
					const { etag: _etag, date: _date, 'x-request-id': _id, ...headers } = Object.fromEntries(response.headers);
					return [response.status, headers, (await response.text()).replaceAll(slug, 'acme/xxxxxx')];
				}),
			);
			assert.deepEqual(hidden, absent, path);
		}
	});
	test('differ in nothing but the name where they are tried', async (t) => {
		const { url } = await startProxy(t, upstream);
		const [hidden, absent] = await Promise.all(
			['acme/secret', 'acme/absent'].map(async (slug) => (await (await fetch(`${url}/?reference=${slug}`)).text()).replaceAll(slug, 'X')),
		);
		assert.equal(hidden, absent);
	});
});

describe('errors of pages are pages', () => {
	test('where the API is not there', async (t) => {
		const { url, log } = await startProxy(t, { ...upstream, apiUrl: 'http://127.0.0.1:1' });
		const response = await fetch(`${url}/${BROWSER}`);
		assert.deepEqual(
			[response.status, response.headers.get('content-type'), response.headers.get('cache-control'), response.headers.get('etag')],
			[502, 'text/html; charset=utf-8', 'no-store', null],
		);
		const text = await response.text();
		assert.match(text, /The balena API could not be reached; try again in a moment/);
		assert.doesNotMatch(text, /127\.0\.0\.1:1\b|ECONN/);
		assert.ok(
			log.some((line) => line.includes('could not be reached')),
			log.join(''),
		);
	});

	test('where the API answers something else', async (t) => {
		const { url, app } = await startProxy(t, upstream);
		t.mock.method(app.api, 'query', async () => [{}]);
		const response = await fetch(`${url}/${BROWSER}`);
		assert.equal(response.status, 502);
		assert.match(await response.text(), /<h1>This did not work</);
	});

	test('where the client names no host', async (t) => {
		const proxy = await startProxy(t, upstream);
		const { status, headers, text } = await ask(proxy, '/', { headers: { host: 'not a host' } });
		assert.deepEqual([status, headers['content-type']], [400, 'text/html; charset=utf-8']);
		assert.match(text, /The Host header is not a valid host name/);
	});
});

describe('pages and the other addresses', () => {
	test('pages can be switched off', async (t) => {
		const { url } = await startProxy(t, upstream, { LANDING_PAGE: 'off' });
		for (const path of ['/', `/${BROWSER}`, '/robots.txt']) {
			const response = await fetch(url + path);
			assert.deepEqual([response.status, response.headers.get('content-type')], [404, 'application/json']);
		}
	});

	const rows: [method: string, path: string, status: number, type: string][] = [
		['GET', '/v2/', 401, 'application/json'],
		['GET', '/v2/acme/empty', 404, 'application/json'],
		['GET', '/v2/acme', 404, 'application/json'],
		['GET', '/auth/v1/token', 200, 'application/json'],
		['GET', '/auth/v1', 404, 'application/json'],
		['GET', '/auth/v1/token/x', 404, 'application/json'],
		['GET', '/ping', 200, 'text/plain'],
		['GET', '/ready', 200, 'application/json'],
		['GET', '/metrics', 404, 'application/json'],
		['GET', '/acme', 404, 'application/json'],
		['GET', '/a/b/c/d/e', 404, 'application/json'],
		['POST', '/', 405, 'application/json'],
		['POST', `/${BROWSER}`, 405, 'application/json'],
	];
	test('others are left alone', async (t) => {
		const { url } = await startProxy(t, upstream);
		for (const [method, path, status, type] of rows) {
			await t.test(`${method} ${path} is ${status} ${type}`, async () => {
				const response = await fetch(url + path, { method });
				await response.text();
				assert.deepEqual([response.status, response.headers.get('content-type')?.replace(/;.*/, '')], [status, type]);
			});
		}
	});
});
