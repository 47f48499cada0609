import assert from 'node:assert/strict';
import { test } from 'node:test';
import { basic } from '../../support/proxy.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import {
	ask,
	assertError,
	CACHE_MODES,
	forge,
	forgetRequests,
	seen,
	setUp,
	tokenFor,
	upstreamPart,
	type Answer,
	type Setup,
} from '../../support/setup.ts';

/* `tags/list`: of a fleet, what can be pulled; of a release, what the registry has. */

const upstream = await sharedUpstream();
const BROWSER = 'balenalabs/browser-aarch64';
/** Final and successful, in the order of the distribution-spec, which is not that of versions. */
const VERSIONS = ['1.10.0', '1.9.3', '2.1.0', '2.1.1', '2.2.0', '2.3.8', '2.4.0'];
const owner = basic(upstream.keys.owner);
const stranger = basic(upstream.keys.stranger);
const TOKEN_SECRET = 'a secret for the tests of the service';

async function list(
	{ proxy }: Setup,
	name: string,
	{ query = '', authorization, token }: { query?: string; authorization?: string; token?: string } = {},
): Promise<Answer> {
	return ask(proxy, `/v2/${name}/tags/list${query}`, { token: token ?? (await tokenFor(proxy, name, authorization)) });
}

function assertTags(answer: Answer, name: string, tags: string[]): void {
	assert.equal(answer.status, 200, answer.text);
	assert.equal(answer.headers['content-type'], 'application/json');
	assert.deepEqual(JSON.parse(answer.text), { name, tags });
}

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	test(`what is listed; ${mode}`, async (t) => {
		const setup = await setUp(t, env);
		const { repository, referrer } = imageOf(upstream, 'acme/signed');
		const rows: { name: string; authorization?: string; tags: string[] }[] = [
			{ name: BROWSER, tags: VERSIONS },
			{ name: BROWSER, authorization: stranger, tags: VERSIONS },
			{ name: 'acme/pinned', tags: ['1.0.0', '1.1.0', '1.2.0'] },
			// None of them can be pulled as a tag, which cannot say which service.
			{ name: 'acme/several', tags: [] },
			{ name: 'acme/empty', tags: [] },
			{ name: `${BROWSER}/2.3.8`, tags: ['latest'] },
			{ name: `${BROWSER}/latest`, tags: ['latest'] },
			{ name: 'acme/several/latest/db', tags: ['latest'] },
			{ name: 'acme/signed/1.0.0', tags: ['latest', referrer!.fallbackTag] },
			{ name: repository, tags: ['latest', referrer!.fallbackTag] },
			{ name: 'acme/secret/1.0.0', authorization: owner, tags: ['latest'] },
			{ name: 'acme/secret', authorization: owner, tags: ['1.0.0', '1.1.0'] },
		];
		for (const { name, authorization, tags } of rows) {
			await t.test(`${name}${authorization === undefined ? '' : ', with a login'}`, async () => {
				assertTags(await list(setup, name, { authorization }), name, tags);
				const head = await ask(setup.proxy, `/v2/${name}/tags/list`, {
					method: 'HEAD',
					token: await tokenFor(setup.proxy, name, authorization),
				});
				assert.deepEqual(
					[head.status, head.text, head.headers['content-length']],
					[200, '', String(JSON.stringify({ name, tags }).length)],
				);
			});
		}
		await t.test('the upstream is asked for the whole list, once', async () => {
			const token = await tokenFor(setup.proxy, BROWSER);
			forgetRequests(setup);
			await list(setup, BROWSER, { token, query: '?n=1' });
			const asked = [...seen(setup.api), ...seen(setup.registry)];
			assert.equal(asked.length, mode === 'every cache on' ? 0 : 1, asked.join('\n'));
		});
		for (const [name, authorization, status] of [
			['acme/nowhere', undefined, 404],
			['acme/secret', undefined, 404],
			['acme/secret', stranger, 404],
			[`${BROWSER}/9.9.9`, undefined, 404],
			['alone', undefined, 400],
		] as const) {
			await t.test(`nothing of ${name} to ${authorization === undefined ? 'anybody' : 'a stranger'}`, async () => {
				assertError(await list(setup, name, { authorization }), status, status === 404 ? 'NAME_UNKNOWN' : 'NAME_INVALID');
			});
		}
		await t.test('nor by a forged token', async () => {
			const { repository: secret } = imageOf(upstream, 'acme/secret');
			const token = forge(upstreamPart(await tokenFor(setup.proxy, 'acme/pinned')), { n: { 'acme/secret': [secret, ''] } });
			assertError(await list(setup, 'acme/secret', { token }), 401, 'UNAUTHORIZED');
		});
	});

	test(`the versions of a private fleet, with TOKEN_SECRET; ${mode}`, async (t) => {
		const setup = await setUp(t, { ...env, TOKEN_SECRET });
		await t.test('to those who may see it', async () => {
			assertTags(await list(setup, 'acme/secret', { authorization: owner }), 'acme/secret', ['1.0.0', '1.1.0']);
			assertTags(await list(setup, 'acme/secret', { authorization: `Bearer ${upstream.keys.session}` }), 'acme/secret', ['1.0.0', '1.1.0']);
		});
		await t.test('to another replica', async (t) => {
			const replica = await setUp(t, { ...env, TOKEN_SECRET });
			assertTags(await list(replica, 'acme/secret', { token: await tokenFor(setup.proxy, 'acme/secret', owner) }), 'acme/secret', [
				'1.0.0',
				'1.1.0',
			]);
		});
		await t.test('not with a token for another fleet', async () => {
			const token = await tokenFor(setup.proxy, 'acme/secret-several', owner);
			assertError(await list(setup, 'acme/secret', { token }), 401, 'UNAUTHORIZED');
		});
		await t.test('not to others', async () => {
			for (const authorization of [undefined, stranger]) {
				assertError(await list(setup, 'acme/secret', { authorization }), 404, 'NAME_UNKNOWN');
			}
		});
		await t.test('the credentials in a token can be read by nobody else', async () => {
			const token = await tokenFor(setup.proxy, 'acme/secret', owner);
			const payload = Buffer.from(token.slice(token.indexOf('~') + 1), 'base64url').toString();
			assert.ok(!payload.includes(upstream.keys.owner) && !payload.includes(owner.slice('Basic '.length)));
			const sealed = Buffer.from(JSON.parse(payload).s, 'base64url').toString('latin1');
			assert.ok(!sealed.includes(upstream.keys.owner));
		});
	});
}

test('pages', async (t) => {
	const setup = await setUp(t);
	const path = `/v2/${BROWSER}/tags/list`;
	const rows: [query: string, tags: string[], next: string | undefined][] = [
		['', VERSIONS, undefined],
		['?n=2', ['1.10.0', '1.9.3'], 'n=2&last=1.9.3'],
		['?n=2&last=1.9.3', ['2.1.0', '2.1.1'], 'n=2&last=2.1.1'],
		['?last=2.3.8', ['2.4.0'], undefined],
		['?n=5&last=2.3.8', ['2.4.0'], undefined],
		['?n=7', VERSIONS, undefined],
		['?n=6', VERSIONS.slice(0, 6), 'n=6&last=2.3.8'],
		['?n=100000000', VERSIONS, undefined],
		['?n=0', [], undefined],
		['?n=2&last=2.4.0', [], undefined],
		['?last=zzz', [], undefined],
		['?last=2', VERSIONS.slice(2), undefined],
		['?n=1&last=', ['1.10.0'], 'n=1&last=1.10.0'],
		['?n=2&other=1', ['1.10.0', '1.9.3'], 'n=2&last=1.9.3'],
	];
	for (const [query, tags, next] of rows) {
		await t.test(query || 'none', async () => {
			const answer = await list(setup, BROWSER, { query });
			assertTags(answer, BROWSER, tags);
			assert.equal(answer.headers['link'], next === undefined ? undefined : `<${path}?${next}>; rel="next"`);
		});
	}
	await t.test('follow one another to the end', async () => {
		const token = await tokenFor(setup.proxy, BROWSER);
		const all: string[] = [];
		for (let next: string | undefined = `${path}?n=3`; next !== undefined;) {
			const answer: Answer = await ask(setup.proxy, next, { token });
			all.push(...JSON.parse(answer.text).tags);
			next = /^<(.+)>; rel="next"$/.exec(String(answer.headers['link'] ?? ''))?.[1];
		}
		assert.deepEqual(all, VERSIONS);
	});
	await t.test('of a release, where the registry’s own list is longer than a page', async () => {
		const answer = await list(setup, 'acme/signed/1.0.0', { query: '?n=1' });
		assertTags(answer, 'acme/signed/1.0.0', ['latest']);
		assert.equal(answer.headers['link'], '</v2/acme/signed/1.0.0/tags/list?n=1&last=latest>; rel="next"');
	});
	await t.test('of a release, where the registry lists its tags in pages', async () => {
		const { repository } = imageOf(upstream, 'acme/signed');
		const own = `/v2/${repository}/tags/list`;
		const pages: Record<string, [tags: string[] | null, link?: string]> = {
			[own]: [['a', 'b'], `<http://inner.example${own}?last=b&n=2>; rel="next"`],
			[`${own}?last=b&n=2`]: [['c'], `<${own}?cursor=%2B>; rel="next"`],
			[`${own}?cursor=%2B`]: [null],
		};
		setup.registry.fault = ({ url }) => {
			const [tags, link] = pages[url] ?? [];
			return tags === undefined
				? undefined
				: {
						status: 200,
						headers: { 'content-type': 'application/json', ...(link === undefined ? {} : { link }) },
						body: JSON.stringify({ tags }),
					};
		};
		assertTags(await list(setup, 'acme/signed/1.0.0'), 'acme/signed/1.0.0', ['a', 'b', 'c']);
		pages[`${own}?cursor=%2B`] = [null, `<${own}?cursor=%2B>; rel="next"`];
		// Pages without an end.
		assert.equal((await list(setup, 'acme/signed/1.0.0')).status, 502);
		setup.registry.fault = () => undefined;
	});
	const bad: [query: string, code: string][] = [
		['?n=-1', 'PAGINATION_NUMBER_INVALID'],
		['?n=x', 'PAGINATION_NUMBER_INVALID'],
		['?n=', 'PAGINATION_NUMBER_INVALID'],
		['?n=1.5', 'PAGINATION_NUMBER_INVALID'],
		['?n=99999999999999999999', 'PAGINATION_NUMBER_INVALID'],
		['?last=a/b', 'TAG_INVALID'],
		['?last=%0d%0a', 'TAG_INVALID'],
		[`?last=${'x'.repeat(200)}`, 'TAG_INVALID'],
	];
	for (const [query, code] of bad) {
		await t.test(query.slice(0, 30), async () => void assertError(await list(setup, BROWSER, { query }), 400, code));
	}
});

test('what the registry answers for tags is not believed blindly', async (t) => {
	const setup = await setUp(t);
	const token = await tokenFor(setup.proxy, 'acme/pinned/1.0.0');
	const rows: [status: number, body: string, expected: string[] | number][] = [
		[200, '{"name":"v2/x","tags":["b","a","b"]}', ['a', 'b']],
		[200, '{"tags":["a",null,1,{}]}', ['a']],
		[200, '{"tags":null}', []],
		[200, 'null', 502],
		[200, '<html>', 502],
		[404, '{}', 404],
		[500, '', 502],
		[503, '', 503],
		[302, '', 502],
	];
	for (const [status, body, expected] of rows) {
		await t.test(`${status} ${body}`, async () => {
			setup.registry.fault = ({ url }) =>
				url.includes('/tags/')
					? { status, headers: { 'content-type': 'application/json', location: 'http://127.0.0.1:1/' }, body }
					: undefined;
			const answer = await list(setup, 'acme/pinned/1.0.0', { token });
			if (typeof expected === 'number') {
				assert.equal(answer.status, expected);
				assert.ok(!answer.text.includes('127.0.0.1'));
			} else {
				assertTags(answer, 'acme/pinned/1.0.0', expected);
			}
		});
	}
});
