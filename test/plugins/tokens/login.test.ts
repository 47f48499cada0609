import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { basic } from '../../support/proxy.ts';
import { addKey } from '../../upstream/control.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import {
	ask,
	assertError,
	faultAt,
	forgetRequests,
	currentGrantsOf,
	grantsOf,
	seen,
	setUp,
	tokenFor,
	upstreamPart,
	type Answer,
	type Question,
} from '../../support/setup.ts';

/* Who asks for a token, how the credentials are checked, and that nobody gets what was meant for somebody else. */

const upstream = await sharedUpstream();
const { keys } = upstream;
const PINNED = imageOf(upstream, 'acme/pinned').repository;
const SECRET = imageOf(upstream, 'acme/secret').repository;

type Login = { path: string; question: Question };
const get = (query: string, authorization?: string): Login => ({
	path: `/auth/v1/token${query}`,
	question: { headers: authorization === undefined ? {} : { authorization } },
});
const post = (body: string, authorization?: string): Login => ({
	path: '/auth/v1/token',
	question: {
		method: 'POST',
		body,
		headers: { 'content-type': 'application/x-www-form-urlencoded', ...(authorization === undefined ? {} : { authorization }) },
	},
});
const scope = (name: string): string => `scope=repository:${name}:pull`;

/** @returns whom the upstream's token in an answer is for */
function subjectOf(answer: Answer): string {
	assert.equal(answer.status, 200, answer.text);
	return JSON.parse(Buffer.from(upstreamPart(JSON.parse(answer.text).token).split('.')[1]!, 'base64url').toString()).sub;
}

/** A login: who, how, and what becomes of it: `sub` of the token, or a refusal. */
const LOGINS: { name: string; get?: string; form?: Record<string, string>; subject: string | undefined }[] = [
	{ name: 'nobody', get: undefined, form: {}, subject: '' },
	{ name: 'a good key', get: basic(keys.owner), form: { username: 'u', password: keys.owner }, subject: 'owner' },
	{
		name: 'a good key with an empty user name',
		get: basic(keys.owner, ''),
		form: { username: '', password: keys.owner },
		subject: 'owner',
	},
	{ name: 'another good key', get: basic(keys.stranger, 'a'), form: { username: 'a', password: keys.stranger }, subject: 'stranger' },
	{ name: 'a key as a Bearer', get: `Bearer ${keys.owner}`, subject: 'owner' },
	{ name: 'a session as a Bearer', get: `bearer ${keys.session}`, subject: 'owner' },
	{ name: 'Basic with both parts empty', get: basic('', ''), form: { username: '', password: '' }, subject: '' },
	{ name: 'a bad key', get: basic('nonsense'), form: { username: 'u', password: 'nonsense' }, subject: undefined },
	{ name: 'a session as the password', get: basic(keys.session), form: { username: 'u', password: keys.session }, subject: 'owner' },
	{ name: 'a session of nobody as the password', get: basic(`eyJ${keys.session}`), subject: undefined },
	{ name: 'a user without a password', get: basic(''), form: { username: 'u', password: '' }, subject: undefined },
	{ name: 'Basic that is no base64', get: 'Basic !', subject: undefined },
	{ name: 'Basic without a colon', get: `Basic ${Buffer.from('nonsense').toString('base64')}`, subject: undefined },
	{
		name: 'a password that no header can hold',
		get: basic('a\r\nx: y'),
		form: { username: 'u', password: 'a\r\nx: y' },
		subject: undefined,
	},
	{ name: 'a bad Bearer', get: 'Bearer nonsense', subject: undefined },
	{ name: 'Bearer without a token', get: 'Bearer', subject: undefined },
	{ name: 'another scheme', get: 'Digest username="u"', subject: undefined },
	{ name: 'a password of 10,000 characters', get: basic('x'.repeat(10_000)), subject: undefined },
];

test('a login checks the credentials, with a scope and without', async (t) => {
	const { proxy } = await setUp(t);
	const check = async (t: TestContext, name: string, { path, question }: Login, subject: string | undefined): Promise<void> => {
		await t.test(name, async () => {
			const answer = await ask(proxy, path, question);
			if (subject === undefined) {
				assert.match(assertError(answer, 401, 'UNAUTHORIZED'), /API key as the password/);
				assert.match(answer.reason, /API key as the password/);
				assert.match(answer.headers['www-authenticate']!, /^Basic realm="[^"]+"$/);
			} else {
				assert.equal(subjectOf(answer), subject);
			}
		});
	};
	for (const { name, get: authorization, form, subject } of LOGINS) {
		await check(t, `GET: ${name}`, get('?account=u&client_id=docker&offline_token=true', authorization), subject);
		await check(t, `GET, ${name}, of a public fleet`, get(`?${scope('acme/pinned')}`, authorization), subject);
		await check(t, `POST, ${name}, by the header`, post(scope('acme/pinned'), authorization), subject);
		if (form !== undefined) {
			await check(
				t,
				`POST: ${name}`,
				post(`${new URLSearchParams({ grant_type: 'password', client_id: 'containerd-client', ...form })}&${scope('acme/pinned')}`),
				subject,
			);
		}
	}
	await check(t, 'POST: a key as the refresh token', post(`grant_type=refresh_token&refresh_token=${keys.owner}`), 'owner');
	await check(t, 'POST: a bad refresh token', post('grant_type=refresh_token&refresh_token=nonsense'), undefined);
	await check(t, 'POST: no refresh token', post('grant_type=refresh_token'), undefined);
	for (const type of ['authorization_code', '', 'Password']) {
		await t.test(`POST: the grant type "${type}" makes clients fall back to GET`, async () => {
			assertError(
				await ask(proxy, '/auth/v1/token', post(`grant_type=${type}&username=u&password=${keys.owner}`).question),
				400,
				'UNSUPPORTED',
			);
		});
	}
});

test('a key that becomes valid is not taken for what it was', async (t) => {
	const newKey = (): string => `sampleKeyOfLater${randomBytes(8).toString('hex')}`;
	const add = async (key: string): Promise<void> => addKey(upstream, { key, kind: 'user', subject: 'later', fleets: ['acme/secret'] });
	await t.test('refused at first, for a private and a public fleet', async (t) => {
		const { proxy, api } = await setUp(t);
		const key = newKey();
		for (const name of ['acme/secret', 'acme/pinned']) {
			assertError(await ask(proxy, `/auth/v1/token?${scope(name)}`, { headers: { authorization: basic(key) } }), 401, 'UNAUTHORIZED');
		}
		await add(key);
		api.requests = [];
		const token = await tokenFor(proxy, ['acme/secret', 'acme/pinned'], basic(key));
		assert.equal(seen(api, ({ url }) => url.startsWith('/v7/release')).length, 2, 'both are asked anew');
		assert.deepEqual(
			Object.entries(currentGrantsOf(token)).map(([name, grant]) => [name, (grant as string[])[0]]),
			[
				['acme/secret', SECRET],
				['acme/pinned', PINNED],
			],
		);
	});
	await t.test('valid between the two questions: the OData answered somebody else', async (t) => {
		const { proxy, api } = await setUp(t);
		const key = newKey();
		await add(key);
		// As the OData answers a key that it does not know yet: like anybody.
		api.fault = faultAt(/^\/v7\//, { status: 200, headers: { 'content-type': 'application/json' }, body: '{"d":[]}' });
		assert.match(JSON.stringify(grantsOf(await tokenFor(proxy, 'acme/secret', basic(key)))), /no fleet acme\/secret/);
		api.fault = () => undefined;
		assert.deepEqual(currentGrantsOf(await tokenFor(proxy, 'acme/secret', basic(key))), { 'acme/secret': [SECRET, '1.1.0'] });
	});
});

test('no answer is shared across credentials', async (t) => {
	const setup = await setUp(t);
	const { proxy, api } = setup;
	const callers: Record<string, string | undefined> = {
		owner: basic(keys.owner),
		'the owner under another name': basic(keys.owner, 'other'),
		stranger: basic(keys.stranger),
		device: basic(keys.device),
		anonymous: undefined,
		session: `Bearer ${keys.session}`,
	};
	const askAll = (): Promise<Answer[]> =>
		Promise.all(
			Object.values(callers).map((authorization) =>
				ask(proxy, `/auth/v1/token?${scope('acme/secret')}`, { headers: authorization === undefined ? {} : { authorization } }),
			),
		);
	for (const round of ['at the same time', 'and again, from memory']) {
		await t.test(round, async () => {
			forgetRequests(setup);
			const answers = await askAll();
			const isGranted = answers.map((answer) => Array.isArray(currentGrantsOf(JSON.parse(answer.text).token)['acme/secret']));
			assert.deepEqual(isGranted, [true, true, false, true, false, true]);
			const device = subjectOf(answers[3]!);
			assert.match(device, /^d_/);
			assert.deepEqual(
				answers.map((answer) => subjectOf(answer)),
				['owner', 'owner', 'stranger', device, '', 'owner'],
			);
			const tokens = answers.map((answer) => upstreamPart(JSON.parse(answer.text).token));
			assert.equal(new Set(tokens).size, tokens.length, 'each has a token of its own');
		});
	}
	await t.test('credentials go to the upstream as they came, and anonymous requests have none', () => {
		const authorizations = api.requests.filter(({ url }) => url.startsWith('/auth/')).map(({ headers }) => headers.authorization);
		// In the second round, the anonymous token came from memory.
		assert.deepEqual(
			authorizations.sort(),
			Object.values(callers)
				.filter((authorization) => authorization !== undefined)
				.map((authorization) => authorization.replace(/^bearer/, 'Bearer'))
				.sort(),
		);
	});
	await t.test('at the same time with the same credentials: one question each', async () => {
		forgetRequests(setup);
		const answers = await Promise.all(
			Array.from({ length: 8 }, () =>
				ask(proxy, `/auth/v1/token?${scope('acme/secret/1.0.0')}`, { headers: { authorization: basic(keys.owner) } }),
			),
		);
		assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
		assert.equal(seen(api).length, 2);
	});
});
