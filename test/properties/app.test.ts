import fc from 'fast-check';
import type { FastifyInstance, HTTPMethods } from 'fastify';
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { buildApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config.ts';
import { anyText, base64url, digest, mutated, name, nearly, repository, secret, tag } from './arbitraries.ts';
import { assertHeader, check } from './check.ts';

// Nothing listens at these upstreams: whatever would reach them is answered 502, so that all other answers are the service's own.
const NOWHERE = { API_URL: 'http://127.0.0.1:9', REGISTRY_URL: 'http://127.0.0.1:9', RATE_LIMIT_MAX: '0', LOGIN_FAILURES_MAX: '0' };

let app: FastifyInstance;

before(async () => {
	app = await buildApp(parseConfig(NOWHERE), { logger: false });
});

after(() => app.close());

const path = fc.oneof(
	fc.tuple(name, fc.constantFrom('manifests', 'blobs', 'referrers'), fc.oneof(tag, digest)).map(([text, verb, item]) => `/v2/${text}/${verb}/${item}`),
	name.map((text) => `/v2/${text}/tags/list?n=1`),
	name.map((text) => `/auth/v1/token?scope=repository:${text}:pull`),
	fc.constantFrom('/', '/v2/', '/v2', '/v2/_catalog', '/ping', '/auth/v1/token', '/nothing'),
);
const bearer = fc.tuple(name, repository).map(([text, hash]) => `Bearer a.b.c~${base64url(JSON.stringify({ n: { [text]: [hash, '1.0.0'] } }))}`);
const authorization = fc.oneof(bearer, secret.map((text) => `Basic ${Buffer.from(`u:${text}`).toString('base64')}`), secret.map((text) => `Bearer ${text}`));

/** What can stand in a request at all: Node refuses the rest before the service sees it. */
const sendable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?');
const request = fc.record({
	method: fc.constantFrom<HTTPMethods>('GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'),
	url: nearly(path).map((text) => sendable(text.startsWith('/') ? text : `/${text}`)),
	authorization: fc.option(nearly(authorization).map(sendable), { nil: undefined }),
	host: mutated(fc.constantFrom('bh.cr', '[::1]:80')).map(sendable),
	userAgent: fc.constantFrom('docker/29', 'containerd/2'),
	payload: fc.option(fc.oneof(anyText, fc.constant('grant_type=password&username=u&password=k')), { nil: undefined }),
});

describe('the service', () => {
	check(
		'answers any request with an error in the form of a registry, and never with 500',
		fc.asyncProperty(request, async ({ method, url, authorization: credentials, host, userAgent, payload }) => {
			const answer = await app.inject({
				method,
				url,
				headers: { host, 'user-agent': userAgent, 'content-type': 'application/x-www-form-urlencoded', ...(credentials === undefined ? {} : { authorization: credentials }) },
				...(payload === undefined || method === 'GET' || method === 'HEAD' ? {} : { payload }),
			});
			assert.ok(answer.statusCode === 200 || (answer.statusCode >= 400 && answer.statusCode < 600 && answer.statusCode !== 500), `status ${answer.statusCode}`);
			for (const [header, value] of Object.entries(answer.headers)) {
				assertHeader(header);
				[value].flat().map(String).forEach(assertHeader);
			}
			assertHeader(answer.statusMessage);
			if (answer.statusCode >= 400 && method !== 'HEAD') {
				assert.equal(answer.headers['content-type'], 'application/json');
				const { errors } = JSON.parse(answer.body) as { errors: { code: string; message: string }[] };
				assert.ok(errors.length === 1 && /^[A-Z]+(_[A-Z]+)*$/.test(errors[0]!.code) && errors[0]!.message !== '');
				assert.doesNotMatch(answer.body, /127\.0\.0\.1|ECONNREFUSED| at .*\.ts/);
			}
			if (answer.statusCode === 401 && url.startsWith('/v2')) {
				assert.match(String(answer.headers['www-authenticate']), /^Bearer realm="/);
			}
		}),
		0.1,
	);
});
