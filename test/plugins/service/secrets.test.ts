import assert from 'node:assert/strict';
import { test } from 'node:test';
import { basic } from '../../support/proxy.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';
import { ask, CACHES_OFF, forge, setUp, upstreamPart, type Answer, type Question } from '../../support/setup.ts';

/* Credentials and tokens stay where they belong. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned';
const { digest } = imageOf(upstream, NAME);

test('no secret is in a log line or in an answer', async (t) => {
	const setup = await setUp(t, CACHES_OFF);
	const { proxy, registry, api } = setup;
	const bad = 'thisKeyIsNotValidButSecretAnyway';
	const answers: Answer[] = [];
	const tokens: string[] = [];
	for (const authorization of [basic(upstream.keys.owner), `Bearer ${upstream.keys.session}`, basic(bad), undefined]) {
		for (const name of ['acme/secret', NAME, 'acme/nowhere']) {
			const question: Question = { headers: authorization === undefined ? {} : { authorization } };
			const answer = await ask(proxy, `/auth/v1/token?account=u&scope=repository:${name}:pull`, question);
			const issued = answer.status === 200 ? (JSON.parse(answer.text).token as string) : undefined;
			answers.push(...(issued === undefined ? [answer] : []), await ask(proxy, `/v2/${name}/manifests/latest`, question));
			if (issued !== undefined) {
				tokens.push(issued);
				answers.push(await ask(proxy, `/v2/${name}/manifests/latest`, { token: issued }), await ask(proxy, '/v2/', { token: issued }));
			}
		}
	}
	const forged = forge(upstreamPart(tokens[0]!), { n: { [NAME]: ['../x', ''] } });
	const body = `grant_type=password&username=u&password=${bad}&refresh_token=${bad}`;
	answers.push(
		await ask(proxy, `/v2/${NAME}/manifests/latest`, { token: forged }),
		await ask(proxy, '/auth/v1/token', { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
		await ask(proxy, '/auth/v1/token', { method: 'POST', body, headers: { 'content-type': 'application/octet-stream' } }),
		await ask(proxy, '/auth/v1/token', { method: 'POST', body: `{"password":${bad}}`, headers: { 'content-type': 'application/json' } }),
		await ask(proxy, `/unknown?key=${bad}`, { headers: { cookie: bad } }),
		await ask(proxy, `/v2/%zz?key=${bad}`),
	);
	// Upstreams that fail in the ways that end in errors with causes.
	for (const fault of ['reset', { status: 500, body: 'x'.repeat(100_000) }, { status: 200, body: '<html>' }] as const) {
		api.fault = () => fault;
		answers.push(
			await ask(proxy, '/auth/v1/token?scope=repository:acme/secret:pull', { headers: { authorization: basic(upstream.keys.owner) } }),
		);
		api.fault = () => undefined;
		registry.fault = () => fault;
		for (const what of ['manifests/latest', `blobs/${digest}`, 'tags/list', `referrers/${digest}`]) {
			answers.push(await ask(proxy, `/v2/acme/secret/${what}`, { token: tokens[0] }));
		}
		registry.fault = () => undefined;
	}
	const secrets = [
		upstream.keys.owner,
		upstream.keys.session,
		bad,
		basic(upstream.keys.owner).slice(6),
		basic(bad).slice(6),
		...tokens,
		...tokens.map(upstreamPart),
		forged,
		...tokens.map((token) => token.split('.')[2]!),
	];
	const log = proxy.log.join('');
	assert.ok(proxy.log.length > answers.length, 'there are log lines to look at');
	assert.deepEqual(
		proxy.log.filter((line) => line.length > 4000),
		[],
	);
	for (const secret of secrets) {
		assert.ok(secret.length > 10);
		assert.ok(!log.includes(secret), `the log has ${secret.slice(0, 12)}…: ${proxy.log.find((line) => line.includes(secret))}`);
		for (const answer of answers.filter(({ status }) => status !== 200)) {
			assert.ok(!JSON.stringify(answer).includes(secret), JSON.stringify(answer));
		}
	}
	for (const { text } of answers.filter(({ status }) => status >= 400)) {
		assert.ok(!/127\.0\.0\.1|localhost/.test(text), `an error names an internal address: ${text}`);
	}
});
