import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT, basic, type Proxy } from '../../support/proxy.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { ask, assertError, forgetRequests, seen, setUp, tokenFor, type Answer } from '../../support/setup.ts';
import { until } from '../../support/until.ts';

/* How much one client may ask, and how often it may fail to log in. Clients are told apart by what a trusted balancer says of them. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const IMAGE = imageOf(upstream, 'acme/pinned', '1.0.0');
const TOKEN_PATH = `/auth/v1/token?scope=repository:${NAME}:pull`;
const BALANCED = { TRUST_PROXY: 'loopback', RATE_LIMIT_MAX: '2' };

/** One request for a token by a client whose address a balancer passes on. */
const from = (proxy: Proxy, forwardedFor: string, authorization?: string): Promise<Answer> =>
	ask(proxy, TOKEN_PATH, {
		headers: { 'x-forwarded-for': forwardedFor, 'x-forwarded-proto': 'http', ...(authorization === undefined ? {} : { authorization }) },
	});

function assertLimited(answer: Answer, windowSeconds: number): void {
	assertError(answer, 429, 'TOOMANYREQUESTS');
	assert.match(String(answer.headers['retry-after']), /^\d+$/);
	assert.ok(
		Number(answer.headers['retry-after']) >= 1 && Number(answer.headers['retry-after']) <= windowSeconds,
		String(answer.headers['retry-after']),
	);
}

test('requests over RATE_LIMIT_MAX are refused, until RATE_LIMIT_WINDOW is over', async (t) => {
	const { proxy } = await setUp(t, { RATE_LIMIT_MAX: '3', RATE_LIMIT_WINDOW: '4' });
	const statuses = await Promise.all(Array.from({ length: 10 }, async () => (await ask(proxy, TOKEN_PATH)).status));
	assert.deepEqual(statuses.filter((status) => status === 200).length, 3);
	assertLimited(await ask(proxy, '/v2/'), 4);
	assert.ok(proxy.log.some((line) => JSON.parse(line).limit === 'address'));
	for (const path of ['/ping', '/ready']) {
		assert.equal((await ask(proxy, path)).status, 200, `${path} has no limit`);
	}
	await until(async () => (await ask(proxy, TOKEN_PATH)).status === 200);
});

test('a pull of 100 layers stays below a limit of 10', async (t) => {
	const { proxy } = await setUp(t, { RATE_LIMIT_MAX: '10' });
	const token = await tokenFor(proxy, NAME);
	assert.equal((await ask(proxy, '/v2/', { token })).status, 200);
	const answers = await Promise.all([
		ask(proxy, `/v2/${NAME}/manifests/latest`, { token, headers: { accept: ACCEPT } }),
		...Array.from({ length: 100 }, () => ask(proxy, `/v2/${NAME}/blobs/${IMAGE.platforms[0]!.layers[0]!.digest}`, { token })),
	]);
	assert.deepEqual(
		answers.filter(({ status }) => status !== 200),
		[],
	);
	await t.test('but not below any', async () => {
		const more = await Promise.all(Array.from({ length: 150 }, () => ask(proxy, `/v2/${NAME}/blobs/sha256:${'0'.repeat(64)}`, { token })));
		assert.equal(more.filter(({ status }) => status === 429).length, 101 + 150 - 10 * 20);
	});
	await t.test('and without a token, it counts as any request', async () => {
		const strangers = await Promise.all(Array.from({ length: 20 }, () => ask(proxy, `/v2/${NAME}/manifests/latest`)));
		assert.equal(strangers.filter(({ status }) => status === 429).length, 20 - (10 - 2));
	});
});

test('whose requests are counted together, with two allowed', async (t) => {
	const rows: Record<string, { env?: Record<string, string>; addresses: string[]; last: 200 | 429 }> = {
		'one address': { addresses: ['192.0.2.7', '192.0.2.7', '192.0.2.7'], last: 429 },
		'another address': { addresses: ['192.0.2.7', '192.0.2.7', '192.0.2.8'], last: 200 },
		'one IPv6 network of 64 bits': { addresses: ['2001:db8:0:1::1', '2001:db8:0:1::2', '2001:db8:0:1:ffff::3'], last: 429 },
		'another IPv6 network': { addresses: ['2001:db8:0:1::1', '2001:db8:0:1::2', '2001:db8:0:2::1'], last: 200 },
		'IPv4 in either notation': { addresses: ['192.0.2.7', '::ffff:192.0.2.7', '192.0.2.7'], last: 429 },
		'what the balancer says, whatever the client says before it': {
			addresses: ['1.1.1.1, 192.0.2.7', '2.2.2.2, 192.0.2.7', '3.3.3.3, 192.0.2.7'],
			last: 429,
		},
		'everybody, where no balancer is trusted': {
			env: { TRUST_PROXY: 'false' },
			addresses: ['192.0.2.7', '192.0.2.8', '192.0.2.9'],
			last: 429,
		},
		'everybody, where another balancer is trusted': {
			env: { TRUST_PROXY: '10.0.0.0/8' },
			addresses: ['192.0.2.7', '192.0.2.8', '192.0.2.9'],
			last: 429,
		},
		'nobody in RATE_LIMIT_ALLOW': {
			env: { RATE_LIMIT_ALLOW: '192.0.2.0/24' },
			addresses: ['192.0.2.7', '192.0.2.7', '192.0.2.7'],
			last: 200,
		},
		'those outside of RATE_LIMIT_ALLOW': {
			env: { RATE_LIMIT_ALLOW: '192.0.2.0/24' },
			addresses: ['198.51.100.1', '198.51.100.1', '198.51.100.1'],
			last: 429,
		},
		'nobody, with RATE_LIMIT_MAX=0': { env: { RATE_LIMIT_MAX: '0' }, addresses: ['192.0.2.7', '192.0.2.7', '192.0.2.7'], last: 200 },
	};
	for (const [name, { env, addresses, last }] of Object.entries(rows)) {
		await t.test(name, async (t) => {
			const { proxy } = await setUp(t, { ...BALANCED, ...env });
			const statuses: number[] = [];
			for (const address of addresses) {
				statuses.push((await from(proxy, address)).status);
			}
			assert.deepEqual(statuses, [200, 200, last]);
		});
	}
});

test('failed logins', async (t) => {
	const WINDOW = 300;
	const env = { TRUST_PROXY: 'loopback', LOGIN_FAILURES_MAX: '3', LOGIN_FAILURES_WINDOW: String(WINDOW) };
	const good = basic(upstream.keys.owner);

	await t.test('with one pair of credentials: the fourth is refused, and not even tried', async (t) => {
		const setup = await setUp(t, env);
		const { proxy, api } = setup;
		for (let i = 0; i < 3; i++) {
			// From wherever they come: what is guessed is one account.
			assertError(await from(proxy, `192.0.2.${i}`, basic('bad')), 401, 'UNAUTHORIZED');
		}
		forgetRequests(setup);
		assertLimited(await from(proxy, '192.0.2.100', basic('bad')), WINDOW);
		const form = {
			method: 'POST',
			body: 'grant_type=password&username=u&password=bad',
			headers: { 'content-type': 'application/x-www-form-urlencoded' },
		};
		assertLimited(await ask(proxy, '/auth/v1/token', form), WINDOW);
		assert.deepEqual(seen(api), []);
		assert.ok(proxy.log.some((line) => JSON.parse(line).limit === 'login'));
		assert.equal((await from(proxy, '192.0.2.1', good)).status, 200, 'other credentials are tried, also from there');
		assert.equal((await from(proxy, '192.0.2.1')).status, 200, 'and so is nobody at all');
	});

	await t.test('from one address: after ten times as many, no credentials are tried from there', async (t) => {
		const setup = await setUp(t, env);
		const { proxy, api } = setup;
		for (let i = 0; i < 30; i++) {
			assertError(await from(proxy, '192.0.2.7', basic(`bad${i}`)), 401, 'UNAUTHORIZED');
		}
		forgetRequests(setup);
		assertLimited(await from(proxy, '192.0.2.7', basic('bad30')), WINDOW);
		assertLimited(await from(proxy, '192.0.2.7', good), WINDOW);
		assert.deepEqual(seen(api), []);
		assert.equal((await from(proxy, '192.0.2.8', good)).status, 200);
		assert.equal((await from(proxy, '192.0.2.7')).status, 200);
	});

	await t.test('good ones do not count, and neither do those that could not be tried', async (t) => {
		const { proxy, api } = await setUp(t, { ...env, RESOLUTION_TTL: '0' });
		for (let i = 0; i < 5; i++) {
			assert.equal((await from(proxy, '192.0.2.7', good)).status, 200);
		}
		api.fault = () => ({ status: 500 });
		for (let i = 0; i < 5; i++) {
			assert.equal((await from(proxy, '192.0.2.7', basic('unknown'))).status, 502);
		}
		api.fault = () => undefined;
		assertError(await from(proxy, '192.0.2.7', basic('unknown')), 401, 'UNAUTHORIZED');
	});

	await t.test('are not counted in RATE_LIMIT_ALLOW, nor with LOGIN_FAILURES_MAX=0', async (t) => {
		for (const other of [{ RATE_LIMIT_ALLOW: '192.0.2.0/24' }, { LOGIN_FAILURES_MAX: '0' }] as Record<string, string>[]) {
			const { proxy } = await setUp(t, { ...env, ...other });
			for (let i = 0; i < 5; i++) {
				assertError(await from(proxy, '192.0.2.7', basic('bad')), 401, 'UNAUTHORIZED');
			}
		}
	});
});
