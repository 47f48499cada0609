import assert from 'node:assert/strict';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { buildApp } from '../../../src/app.ts';
import { parseConfig } from '../../../src/config.ts';
import { table } from '../../support/table.ts';

// What the service answers by itself, without asking anyone: nothing listens at these upstreams.
const NOWHERE = { API_URL: 'http://127.0.0.1:9', REGISTRY_URL: 'http://127.0.0.1:9', LANDING_PAGE: 'off' };

let app: FastifyInstance;

before(async () => {
	app = await buildApp(parseConfig(NOWHERE), { logger: false });
});

after(() => app.close());

/** Status and body: OCI errors by their codes, anything else as text. */
async function ask(request: InjectOptions): Promise<string> {
	const { statusCode, headers, body } = await app.inject(request);
	if (body === '' || headers['content-type'] !== 'application/json') {
		return `${statusCode} ${body}`.trim();
	}
	const { errors } = JSON.parse(body) as { errors?: { code: string }[] };
	return errors === undefined ? `${statusCode} ${body}` : `${statusCode} ${errors.map(({ code }) => code).join()}`;
}

describe('requests that lead nowhere', () => {
	table<InjectOptions>(
		[
			[{ url: '/ping' }, '200 pong'],
			[{ url: '/ping', method: 'HEAD' }, '200'],
			[{ url: '/nothing' }, '404 UNSUPPORTED'],
			[{ url: '/nothing', method: 'POST' }, '405 UNSUPPORTED'],
			[{ url: '/v3/' }, '404 UNSUPPORTED'],
			// Nothing is written through this proxy.
			[{ url: '/v2/org/app/blobs/uploads/', method: 'POST' }, '405 UNSUPPORTED'],
			[{ url: '/v2/org/app/manifests/latest', method: 'PUT', payload: '{}' }, '405 UNSUPPORTED'],
			[{ url: '/v2/org/app/manifests/latest', method: 'PUT', payload: 'x'.repeat(100_000) }, '405 UNSUPPORTED'],
			[{ url: '/v2/org/app/manifests/latest', method: 'DELETE' }, '405 UNSUPPORTED'],
			[{ url: '/v2/org/app/blobs/uploads/x', method: 'PATCH' }, '405 UNSUPPORTED'],
			[{ url: '/v2/', method: 'POST' }, '405 UNSUPPORTED'],
			// Not understood.
			[{ url: '/v2/org/app/manifests/%' }, '400 UNSUPPORTED'],
			[{ url: '/%' }, '400 UNSUPPORTED'],
			[{ url: '/v2/Org/App/manifests/latest' }, '400 NAME_INVALID'],
			[{ url: '/v2/org/../../x/manifests/latest' }, '404 UNSUPPORTED'],
			[
				{
					url: '/auth/v1/token',
					method: 'POST',
					payload: 'grant_type=x',
					headers: { 'content-type': 'application/x-www-form-urlencoded' },
				},
				'400 UNSUPPORTED',
			],
			[
				{
					url: '/auth/v1/token',
					method: 'POST',
					payload: 'x'.repeat(70_000),
					headers: { 'content-type': 'application/x-www-form-urlencoded' },
				},
				'413 UNSUPPORTED',
			],
			[{ url: '/auth/v1/token', method: 'POST', payload: '<x/>', headers: { 'content-type': 'application/xml' } }, '415 UNSUPPORTED'],
			[{ url: '/auth/v1/token', method: 'PUT' }, '405 UNSUPPORTED'],
			[{ url: '/auth/v1/token', headers: { authorization: 'Basic !!!' } }, '401 UNAUTHORIZED'],
			// The upstreams are down.
			[{ url: '/v2/' }, '502 UNAVAILABLE'],
			[{ url: '/v2/org/app/manifests/latest' }, '502 UNAVAILABLE'],
			[{ url: '/auth/v1/token?scope=repository:org/app:pull' }, '502 UNAVAILABLE'],
		],
		ask,
	);
});

describe('a connection that was reset', () => {
	// Node does not know the address of such a one any more, nor that of a stream in its place, which can be asked for an answer.
	for (const TRUST_PROXY of ['false', 'true', '10.0.0.0/8']) {
		for (const path of ['/ping', '/v2/', '/auth/v1/token', '/nothing']) {
			test(`${path} is served, with TRUST_PROXY=${TRUST_PROXY}`, async (t) => {
				const service = await buildApp(parseConfig({ ...NOWHERE, TRUST_PROXY }), { logger: false });
				t.after(() => service.close());
				await service.ready();
				const [client, server] = duplexPair();
				service.server.emit('connection', server);
				client.write(`GET ${path} HTTP/1.1\r\nHost: bh.cr\r\nConnection: close\r\n\r\n`);
				let answer = '';
				client.on('data', (chunk: Buffer) => (answer += chunk.toString()));
				await once(client, 'end');
				assert.match(answer, path === '/ping' ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 (404|502) /);
			});
		}
	}
});

describe('errors below /v2/ are private and are what they say, also where there is no route', () => {
	const rows: [method: 'GET' | 'POST', url: string, isBelow: boolean][] = [
		['GET', '/v2/nothing', true],
		['GET', '/v2/a/b/nothing/latest', true],
		['GET', '/v2/a/%zz/manifests/latest', true],
		['GET', '/v2/%%BALENA_ARCH%%/manifests/latest', true],
		['POST', '/v2/a/b/blobs/uploads/', true],
		['GET', '/v2?%zz', true],
		['GET', '/v2/nothing?a=b', true],
		['GET', '/v22/', false],
		['GET', '/nothing', false],
	];
	for (const [method, url, isBelow] of rows) {
		test(`${method} ${url}`, async () => {
			const { statusCode, headers } = await app.inject({ method, url });
			assert.ok(statusCode >= 400);
			assert.deepEqual(
				[headers['cache-control'], headers['x-content-type-options']],
				isBelow ? ['private', 'nosniff'] : [undefined, undefined],
			);
		});
	}
});
