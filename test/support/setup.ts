import { once } from 'node:events';
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { startProxy, type Proxy } from './proxy.ts';
import type { Upstream } from '../upstream/index.ts';
import { startRelay, type Fault, type RecordedRequest, type Relay } from '../upstream/relay.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/** The service in front of the stand-in, with a relay before each upstream: what reaches them can be counted, and broken. */
export interface Setup {
	upstream: Upstream;
	proxy: Proxy;
	api: Relay;
	registry: Relay;
}

/** @param env settings of the service by their environment variables, and constants by their names */
export async function setUp(t: TestContext, env: Record<string, string> = {}): Promise<Setup> {
	const upstream = await sharedUpstream();
	const [api, registry] = await Promise.all([startRelay(upstream.apiUrl), startRelay(upstream.registryUrl)]);
	const proxy = await startProxy(t, { apiUrl: api.url, registryUrl: registry.url }, env);
	t.after(() => Promise.all([api.close(), registry.close()]));
	return { upstream, proxy, api, registry };
}

/** Every cache of the service, off. */
export const CACHES_OFF = {
	RESOLUTION_TTL: '0',
	RESOLUTION_FAILURE_TTL: '0',
	STALE_TTL: '0',
	TOKEN_TTL: '0',
	AUTHORIZATION_TTL: '0',
	MANIFEST_CACHE_BYTES: '0',
	MANIFEST_TAG_TTL: '0',
	REDIRECT_TTL: '0',
};

/** The two ways in which the service has to behave the same. */
export const CACHE_MODES: Record<string, Record<string, string>> = { 'every cache on': {}, 'every cache off': CACHES_OFF };

export interface Question {
	method?: string;
	headers?: Record<string, string | string[]>;
	body?: string;
	/** Goes into the `Authorization` header as a bearer token. */
	token?: string;
	/** The loopback address that it comes from. */
	from?: string;
	signal?: AbortSignal;
}

export interface Answer {
	status: number;
	/** The reason phrase. */
	reason: string;
	headers: IncomingHttpHeaders;
	text: string;
}

/** Begins a request of node:http, which sends a path as it is given, and follows and hides nothing. @returns the response, unread */
export async function begin(
	proxy: Pick<Proxy, 'url'>,
	path: string,
	{ method = 'GET', headers = {}, body, token, from, signal }: Question = {},
): Promise<IncomingMessage> {
	const outgoing = request(proxy.url, {
		agent: false,
		localAddress: from,
		signal,
		method,
		path,
		headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
	});
	outgoing.end(body);
	const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
	// A reset is told to both.
	outgoing.on('error', () => undefined);
	return incoming;
}

/** @returns the whole answer to one request */
export async function ask(proxy: Pick<Proxy, 'url'>, path: string, question: Question = {}): Promise<Answer> {
	const incoming = await begin(proxy, path, question);
	return { status: incoming.statusCode!, reason: incoming.statusMessage!, headers: incoming.headers, text: await text(incoming) };
}

/** @returns a token of the proxy for names. Anonymous without `authorization`. */
export async function tokenFor(proxy: Pick<Proxy, 'url'>, names: string | string[], authorization?: string): Promise<string> {
	const query = new URLSearchParams([names].flat().map((name): [string, string] => ['scope', `repository:${name}:pull`]));
	const answer = await ask(proxy, `/auth/v1/token?${query}`, { headers: authorization === undefined ? {} : { authorization } });
	assert.equal(answer.status, 200, answer.text);
	return JSON.parse(answer.text).token as string;
}

/** Checks that an answer is an error as the OCI distribution-spec wants it. @returns its message */
export function assertError(answer: Answer, status: number, code: string): string {
	assert.equal(answer.status, status, answer.text);
	assert.equal(answer.headers['content-type'], 'application/json');
	const { errors } = JSON.parse(answer.text);
	assert.equal(errors.length, 1);
	assert.equal(errors[0].code, code);
	assert.equal(typeof errors[0].message, 'string');
	assert.notEqual(errors[0].message, '');
	return errors[0].message as string;
}

/** A client token made by hand: an upstream token, and a map of names to whatever a forger likes. */
export function forge(upstreamToken: string, payload: unknown): string {
	return `${upstreamToken}~${Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)).toString('base64url')}`;
}

/** @returns the upstream's token in a client's */
export function upstreamPart(token: string): string {
	return token.slice(0, token.indexOf('~'));
}

/** @returns what a client token maps its names to */
export function grantsOf(token: string): Record<string, unknown> {
	return JSON.parse(Buffer.from(token.slice(token.indexOf('~') + 1), 'base64url').toString()).n as Record<string, unknown>;
}

/** @returns the same, where a name that can come to mean another release stands for what it means now */
export function currentGrantsOf(token: string): Record<string, unknown> {
	return Object.fromEntries(Object.entries(grantsOf(token)).map(([name, grant]) => [name, (grant as { fleet?: unknown }).fleet ?? grant]));
}

/** @returns what a relay has seen since `forgetRequests`, as `GET /path` */
export function seen({ requests }: Relay, filter: (request: RecordedRequest) => boolean = () => true): string[] {
	return requests.filter(filter).map(({ method, url }) => `${method} ${url}`);
}

/** Requests to the upstreams are counted from here. */
export function forgetRequests({ api, registry }: Pick<Setup, 'api' | 'registry'>): void {
	api.requests = [];
	registry.requests = [];
}

/** A fault of requests whose path matches; all others pass. */
export function faultAt(path: RegExp, fault: Fault): (request: RecordedRequest) => Fault {
	return ({ url }) => (path.test(url) ? fault : undefined);
}
