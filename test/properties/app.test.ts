import fc from 'fast-check';
import type { FastifyInstance } from 'fastify';
import assert from 'node:assert/strict';
import { Agent, request as httpRequest, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe } from 'node:test';
import { buildApp } from '../../src/app.ts';
import { configOf } from '../support/constants.ts';
import { anyText, base64url, digest, mutated, name, nearly, repository, secret, tag } from './arbitraries.ts';
import { assertHeader, check } from './check.ts';

// Nothing listens at these upstreams: whatever would reach them is answered 502, so that all other answers are the service's own.
const NOWHERE = { API_URL: 'http://127.0.0.1:9', REGISTRY_URL: 'http://127.0.0.1:9', RATE_LIMIT_MAX: '0', LOGIN_FAILURES_MAX: '0' };

const agent = new Agent({ keepAlive: true, maxSockets: 1 });
let app: FastifyInstance;

before(async () => {
	app = await buildApp(configOf(NOWHERE), { logger: false });
	await app.listen({ host: '127.0.0.1', port: 0 });
});

after(async () => {
	agent.destroy();
	await app.close();
});

interface Answer {
	status: number;
	reason: string;
	headers: IncomingHttpHeaders;
	body: string;
}

/** One request as it is, without the clean-up of its address that `fetch` and Fastify's `inject` do. */
function send(method: string, path: string, headers: OutgoingHttpHeaders, payload: string | undefined): Promise<Answer> {
	return new Promise((resolve, reject) => {
		const { port } = app.server.address() as AddressInfo;
		const request = httpRequest({ agent, host: '127.0.0.1', port, method, path, headers }, (response) => {
			const chunks: Buffer[] = [];
			response.on('data', (chunk: Buffer) => chunks.push(chunk));
			response.on('error', reject);
			response.on('end', () =>
				resolve({
					status: response.statusCode ?? 0,
					reason: response.statusMessage ?? '',
					headers: response.headers,
					body: Buffer.concat(chunks).toString(),
				}),
			);
		});
		request.on('error', reject);
		request.end(payload);
	});
}

const path = fc.oneof(
	fc
		.tuple(name, fc.constantFrom('manifests', 'blobs', 'referrers'), fc.oneof(tag, digest))
		.map(([text, verb, item]) => `/v2/${text}/${verb}/${item}`),
	name.map((text) => `/v2/${text}/tags/list?n=1`),
	name.map((text) => `/auth/v1/token?scope=repository:${text}:pull`),
	fc.constantFrom('/', '/v2/', '/v2', '/v2/_catalog', '/ping', '/auth/v1/token', '/nothing'),
);
const bearer = fc
	.tuple(name, repository)
	.map(([text, hash]) => `Bearer a.b.c~${base64url(JSON.stringify({ n: { [text]: [hash, '1.0.0'] } }))}`);
const authorization = fc.oneof(
	bearer,
	secret.map((text) => `Basic ${Buffer.from(`u:${text}`).toString('base64')}`),
	secret.map((text) => `Bearer ${text}`),
);

/** What can stand in a request at all: Node's own client refuses the rest. */
const sendable = (text: string): string => text.replace(/[^\x21-\x7e]/g, '?');
const request = fc.record({
	method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'),
	url: nearly(path).map((text) => sendable(text.startsWith('/') ? text : `/${text}`)),
	authorization: fc.option(
		nearly(authorization).map((text) => text.replace(/[^\x20-\x7e]/g, '?')),
		{ nil: undefined },
	),
	host: mutated(fc.constantFrom('bh.cr', '[::1]:80')).map(sendable),
	userAgent: fc.constantFrom('docker/29', 'containerd/2'),
	payload: fc.option(fc.oneof(anyText, fc.constant('grant_type=password&username=u&password=k')), { nil: undefined }),
});

describe('the service', () => {
	check(
		'answers any request with an error in the form of a registry, and never with 500',
		fc.asyncProperty(request, async ({ method, url, authorization: credentials, host, userAgent, payload }) => {
			// Node's client frames no other bodies.
			const hasBody = payload !== undefined && ['POST', 'PUT', 'PATCH'].includes(method);
			const headers = {
				host,
				'user-agent': userAgent,
				...(credentials === undefined ? {} : { authorization: credentials }),
				...(hasBody ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
			};
			const answer = await send(method, url, headers, hasBody ? payload : undefined);
			assert.ok(answer.status === 200 || (answer.status >= 400 && answer.status < 600 && answer.status !== 500), `status ${answer.status}`);
			for (const value of Object.values(answer.headers)) {
				[value].flat().map(String).forEach(assertHeader);
			}
			assertHeader(answer.reason);
			// Elsewhere there are pages for people.
			if (
				answer.status >= 400 &&
				method !== 'HEAD' &&
				(/^\/(v2([/?]|$)|auth\/v1\/token(\?|$))/.test(url) || answer.headers['content-type'] === 'application/json')
			) {
				assert.equal(answer.headers['content-type'], 'application/json');
				const { errors } = JSON.parse(answer.body) as { errors: { code: string; message: string }[] };
				assert.ok(errors.length === 1 && /^[A-Z]+(_[A-Z]+)*$/.test(errors[0]!.code) && errors[0]!.message !== '');
				assert.doesNotMatch(answer.body, /127\.0\.0\.1|ECONNREFUSED| at .*\.ts/);
			}
			if (answer.status === 401 && url.startsWith('/v2')) {
				assert.match(String(answer.headers['www-authenticate']), /^Bearer realm="/);
			}
		}),
	);
});
