import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { addKey, changeFleet } from './control.ts';
import { imageOf, releaseOf, type Upstream } from './index.ts';
import { sharedUpstream } from './shared.ts';

/* What is known of the real token endpoint, asked of the stand-in. */

let upstream: Upstream;
before(async () => void (upstream = await sharedUpstream()));

const BROWSER = 'balenalabs/browser-aarch64';
const basic = (password: string, user = 'x'): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

interface Claims {
	sub: string;
	aud: string;
	iat: number;
	exp: number;
	access: { type: string; name: string; actions: string[]; alias?: string }[];
}

async function askToken(query: string, authorization?: string): Promise<Claims> {
	const response = await fetch(`${upstream.apiUrl}/auth/v1/token?${query}`, {
		headers: authorization === undefined ? {} : { authorization },
	});
	assert.equal(response.status, 200);
	const body = (await response.json()) as { token: string };
	assert.deepEqual(Object.keys(body), ['token']);
	return JSON.parse(Buffer.from(body.token.split('.')[1]!, 'base64url').toString()) as Claims;
}

async function access(name: string, authorization?: string): Promise<Claims['access']> {
	return (await askToken(new URLSearchParams({ scope: `repository:${name}:pull`, service: 'ignored' }).toString(), authorization)).access;
}

const echo = (name: string, ...actions: string[]): Claims['access'] => [{ name, type: 'repository', actions }];

describe('the token endpoint resolves names, anonymously', () => {
	const resolved: [name: string, slug: string, rawVersion: string][] = [
		[`${BROWSER}/2.3.8`, BROWSER, '2.3.8+rev2'],
		[BROWSER, BROWSER, '2.4.0'],
		...['latest', 'current', 'default', 'pinned'].map((word): [string, string, string] => [`${BROWSER}/${word}`, BROWSER, '2.4.0']),
		['acme/pinned', 'acme/pinned', '1.1.0'],
		[`${BROWSER}/2.4.1-1648554962021`, BROWSER, '2.4.1-1648554962021'],
		[`${BROWSER}/2.2.0`, BROWSER, '2.2.0'],
		['acme/multi-arch', 'acme/multi-arch', '1.1.0'],
	];
	for (const [name, slug, rawVersion] of resolved) {
		test(`${name} is ${rawVersion}`, async () => {
			assert.deepEqual(await access(name), [
				{ name: imageOf(upstream, slug, rawVersion).repository, type: 'repository', actions: ['pull'], alias: name },
			]);
		});
	}
	for (const rawVersion of ['2.3.8+rev1', '2.4.1-1648554962021']) {
		test(`the commit of ${rawVersion}`, async () => {
			const name = `${BROWSER}/${releaseOf(upstream, BROWSER, rawVersion).commit}`;
			assert.deepEqual(await access(name), [
				{ name: imageOf(upstream, BROWSER, rawVersion).repository, type: 'repository', actions: ['pull'], alias: name },
			]);
		});
	}

	const echoed: Record<string, string[]> = {
		[`${BROWSER}/2.4.1`]: [],
		[`${BROWSER}/9.9.9`]: [],
		[`${BROWSER}/v2.3.8`]: [],
		[`${BROWSER}/c0ffee1`]: [],
		[`${BROWSER}/2.5.0`]: [],
		[`${BROWSER}/2.6.0`]: [],
		[`${BROWSER}/2.4.0/main`]: [],
		'acme/several/1.1.0': [],
		'acme/several/1.1.0/db': [],
		'acme/nowhere': ['pull'],
		'acme/nowhere/1.0.0': [],
		'acme/empty': ['pull'],
		'acme/secret': ['pull'],
		'acme/secret/1.0.0': [],
	};
	for (const [name, actions] of Object.entries(echoed)) {
		test(`${name} is echoed with ${actions.join() || 'nothing'}`, async () => assert.deepEqual(await access(name), echo(name, ...actions)));
	}
	for (const suffix of [':latest', `@sha256:${'0'.repeat(64)}`]) {
		test(`acme/pinned${suffix} is acme/pinned`, async () => {
			const claims = await askToken(`scope=repository:acme/pinned${suffix}:pull`);
			assert.equal(claims.access[0]?.alias, 'acme/pinned');
		});
	}
	for (const name of [`${BROWSER}/2.3.8+rev1`, 'Acme/Pinned', 'alone', 'acme/pinned/1.0.0/main/more']) {
		test(`${name} is dropped`, async () => assert.deepEqual(await access(name), []));
	}
});

describe('the token endpoint grants v2/<hash>', () => {
	const rows: [slug: string, rawVersion: string, service: string, who: 'anonymous' | 'owner' | 'stranger' | 'device', granted: boolean][] =
		[
			[BROWSER, '2.4.0', 'main', 'anonymous', true],
			[BROWSER, '2.4.1-1648554962021', 'main', 'anonymous', true],
			[BROWSER, '2.5.0', 'main', 'anonymous', true],
			['acme/several', '1.1.0', 'db', 'anonymous', true],
			[BROWSER, '2.4.0', 'main', 'owner', true],
			[BROWSER, '2.4.0', 'main', 'stranger', true],
			['acme/secret', '1.1.0', 'main', 'anonymous', false],
			['acme/secret', '1.1.0', 'main', 'owner', true],
			['acme/secret', '1.1.0', 'main', 'device', true],
			['acme/secret', '1.1.0', 'main', 'stranger', false],
			['acme/secret-several', '1.0.0', 'worker', 'owner', true],
			['acme/secret-several', '1.0.0', 'worker', 'device', false],
		];
	for (const [slug, rawVersion, service, who, granted] of rows) {
		test(`${slug} ${rawVersion} ${service} ${granted ? 'to' : 'not to'} ${who}`, async () => {
			const { repository } = imageOf(upstream, slug, rawVersion, service);
			assert.deepEqual(
				await access(repository, who === 'anonymous' ? undefined : basic(upstream.keys[who])),
				echo(repository, ...(granted ? ['pull'] : [])),
			);
		});
	}
	test('nothing of an unknown hash', async () => assert.deepEqual(await access('v2/0123456789abcdef'), echo('v2/0123456789abcdef')));
	test('nothing but pull', async () => {
		const { repository } = imageOf(upstream, BROWSER);
		assert.deepEqual((await askToken(`scope=repository:${repository}:push,pull`)).access, echo(repository, 'pull'));
	});
});

describe('the token endpoint’s requests', () => {
	test('several scopes are answered in their order', async () => {
		const claims = await askToken(`scope=repository:acme/nowhere/1.0.0:pull&scope=repository:${BROWSER}:pull`);
		assert.deepEqual(
			claims.access.map(({ name, alias }) => alias ?? name),
			['acme/nowhere/1.0.0', BROWSER],
		);
	});
	test('scopes in one parameter grant nothing', async () => {
		assert.deepEqual((await askToken(`scope=repository:${BROWSER}:pull%20repository:acme/pinned:pull`)).access, []);
	});
	test('the claims', async () => {
		const { sub, aud, iat, exp } = await askToken(`scope=repository:${BROWSER}:pull`);
		assert.deepEqual({ sub, aud, lifetime: exp - iat }, { sub: '', aud: upstream.service, lifetime: 14_400 });
	});
	test('no scope, anonymous, with keys, with a session', async () => {
		const { keys } = upstream;
		const subjects = [undefined, basic(keys.owner, 'anybody'), `Bearer ${keys.owner}`, `Bearer ${keys.session}`].map(
			async (who) => (await askToken('', who)).sub,
		);
		assert.deepEqual(await Promise.all(subjects), ['', 'owner', 'owner', 'owner']);
		assert.match((await askToken('', basic(keys.device))).sub, /^d_[0-9a-f]{32}$/);
	});
	const refused: Record<string, () => string> = {
		'a bad key': () => basic('nonsense'),
		'an empty password': () => basic(''),
		'a session as the password': () => basic(upstream.keys.session),
		'malformed Basic': () => 'Basic !',
		'Basic without a colon': () => `Basic ${Buffer.from('nonsense').toString('base64')}`,
		'a bad Bearer': () => 'Bearer nonsense',
	};
	for (const [name, authorization] of Object.entries(refused)) {
		test(`${name} is 401 with nothing more`, async () => {
			const response = await fetch(`${upstream.apiUrl}/auth/v1/token`, { headers: { authorization: authorization() } });
			assert.deepEqual([response.status, await response.text(), response.headers.get('www-authenticate')], [401, '', null]);
		});
	}
	test('POST is 404', async () => assert.equal((await fetch(`${upstream.apiUrl}/auth/v1/token`, { method: 'POST' })).status, 404));
	test('X-Forwarded-For needs X-Forwarded-Proto', async () => {
		const status = async (headers: Record<string, string>): Promise<number> =>
			(await fetch(`${upstream.apiUrl}/ping`, { headers, redirect: 'manual' })).status;
		assert.deepEqual(
			[await status({ 'x-forwarded-for': '192.0.2.1' }), await status({ 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https' })],
			[301, 200],
		);
	});
});

test('a fleet can change while the stand-in runs', async (t) => {
	// The only test that does so in a stand-in that others use, and of a fleet that is there for it.
	const name = 'acme/changing';
	t.after(() => changeFleet(upstream, name, { target: '1.0.0', isPublic: true }));
	const actionsAs = async (who?: string): Promise<unknown> => (await access(`${name}/1.0.0`, who))[0]?.actions;
	await changeFleet(upstream, name, { target: '1.1.0' });
	assert.equal((await access(name))[0]?.name, imageOf(upstream, name, '1.1.0').repository);
	await changeFleet(upstream, name, { isPublic: false });
	await addKey(upstream, { key: 'added', kind: 'user', subject: 'somebody', fleets: [name] });
	assert.deepEqual([await actionsAs(), await actionsAs(basic('added'))], [[], ['pull']]);
});
