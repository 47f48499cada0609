import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RegistryError } from '../../../src/errors.ts';
import { startProxy } from '../../support/proxy.ts';
import { sharedUpstream } from '../../upstream/shared.ts';

/* How pages are answered: with which headers, from which memory, and how many. */

const upstream = await sharedUpstream();
const BROWSER = 'balenalabs/browser-aarch64';

describe('how pages are sent', () => {
	test('they load nothing, and are not loaded into others', async (t) => {
		const { url } = await startProxy(t, upstream);
		for (const path of ['/', `/${BROWSER}`, '/acme/absent']) {
			const { headers } = await fetch(url + path);
			assert.match(
				headers.get('content-security-policy') ?? '',
				/^default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
			);
			assert.deepEqual([headers.get('x-content-type-options'), headers.get('referrer-policy')], ['nosniff', 'no-referrer']);
		}
	});

	test('what is there may be kept for a minute, what is not for some seconds', async (t) => {
		for (const { env, who, vary } of [
			{ env: { PUBLIC_URL: 'https://bh.example' }, who: 'public', vary: null },
			// The host in it is the request's: no cache may show it to anybody else.
			{ env: {}, who: 'private', vary: 'Host, X-Forwarded-Host, X-Forwarded-Proto' },
		]) {
			const { url } = await startProxy(t, upstream, env);
			const kept = await Promise.all(
				[`/${BROWSER}`, '/', '/acme/absent'].map(async (path) => {
					const { headers } = await fetch(url + path);
					return [headers.get('cache-control'), headers.get('vary')];
				}),
			);
			assert.deepEqual(
				kept,
				[60, 60, 10].map((seconds) => [`${who}, max-age=${seconds}`, vary]),
			);
		}
	});

	test('they are not sent again to a browser that has them', async (t) => {
		const { url } = await startProxy(t, upstream);
		const etag = (await fetch(`${url}/${BROWSER}`)).headers.get('etag')!;
		for (const [ifNoneMatch, status] of [
			[etag, 304],
			[`W/${etag}`, 304],
			[`"x", ${etag}`, 304],
			['*', 304],
			['"x"', 200],
		] as const) {
			const response = await fetch(`${url}/${BROWSER}`, { headers: { 'if-none-match': ifNoneMatch } });
			assert.deepEqual(
				[response.status, response.headers.get('etag'), (await response.text()) === ''],
				[status, etag, status === 304],
				ifNoneMatch,
			);
		}
	});

	test('HEAD is the same without the page', async (t) => {
		const { url } = await startProxy(t, upstream);
		const [head, get] = await Promise.all(['HEAD', 'GET'].map((method) => fetch(`${url}/${BROWSER}`, { method })));
		assert.deepEqual(
			[head!.status, head!.headers.get('etag'), head!.headers.get('content-length'), await head!.text()],
			[200, get!.headers.get('etag'), get!.headers.get('content-length'), ''],
		);
	});

	test('with the public name of the service', async (t) => {
		const { url } = await startProxy(t, upstream, { PUBLIC_URL: 'https://images.example.com' });
		assert.match(await (await fetch(`${url}/${BROWSER}`)).text(), /docker pull images\.example\.com\/balenalabs/);
	});

	test('a fleet is asked for once a minute', async (t) => {
		const { url, app } = await startProxy(t, upstream);
		const query = t.mock.method(app.api, 'query');
		for (const path of ['', '/2.4.0', '/2.3.8', '/v2.4.0', '/v2.4.0', '/latest']) {
			await (await fetch(`${url}/${BROWSER}${path}`)).text();
		}
		assert.equal(query.mock.callCount(), 2);
	});

	test('while the API is away, what is remembered stands in, for as long as STALE_TTL says', async (t) => {
		const { url, app, log } = await startProxy(t, upstream, { STALE_TTL: '100' });
		const now = performance.now.bind(performance);
		let later = 0;
		t.mock.method(performance, 'now', () => now() + later);
		const open = async (): Promise<number> => (await fetch(`${url}/${BROWSER}/v2.4.0`)).status;
		const statuses = [await open()];
		t.mock.method(app.api, 'query', async () => {
			throw new RegistryError('UNAVAILABLE', 'away', { status: 502 });
		});
		for (const seconds of [59, 61, 159, 161]) {
			later = seconds * 1000;
			statuses.push(await open());
		}
		assert.deepEqual(statuses, [200, 200, 200, 200, 502]);
		assert.ok(log.some((line) => line.includes('showing pages from what is remembered')));
	});

	test('what else browsers ask for has short answers', async (t) => {
		const { url } = await startProxy(t, upstream);
		const [icon, robots] = await Promise.all([fetch(`${url}/favicon.ico`), fetch(`${url}/robots.txt`)]);
		assert.deepEqual([icon.status, await icon.text()], [204, '']);
		assert.deepEqual([robots.status, robots.headers.get('content-type')], [200, 'text/plain']);
		assert.match(await robots.text(), /^User-agent: \*\nDisallow: \/v2\/\n/);
	});
});

describe('the limit of pages', () => {
	const statusesOf = async (url: string, paths: string[], count: number): Promise<number[]> => {
		const statuses = [];
		for (let i = 0; i < count; i++) {
			statuses.push((await fetch(url + paths[i % paths.length]!)).status);
		}
		return statuses;
	};

	test('is one for all of them, also where the other limit is off', async (t) => {
		const { url, log } = await startProxy(t, upstream, { RATE_LIMIT_MAX: '0' });
		const statuses = await statusesOf(url, ['/', `/${BROWSER}`, `/${BROWSER}/2.4.0`, '/robots.txt'], 124);
		assert.deepEqual([statuses.indexOf(429), statuses.filter((status) => status === 429).length], [120, 4]);
		const refused = await fetch(url);
		assert.deepEqual(
			[refused.status, refused.headers.get('content-type'), refused.headers.get('cache-control')],
			[429, 'text/html; charset=utf-8', 'no-store'],
		);
		assert.match(refused.headers.get('retry-after') ?? '', /^[1-9]\d?$/);
		assert.equal((await fetch(`${url}/v2/`)).status, 401);
		assert.ok(log.some((line) => line.includes('"limit":"page"')));
	});

	test('is never wider than that of everything else', async (t) => {
		const { url } = await startProxy(t, upstream, { RATE_LIMIT_MAX: '3' });
		assert.deepEqual(await statusesOf(url, ['/'], 5), [200, 200, 200, 429, 429]);
	});
});
