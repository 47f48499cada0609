import replyFrom from '@fastify/reply-from';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { IncomingHttpHeaders } from 'node:http';
import { Pool, type Dispatcher } from 'undici';
import { RegistryError, upstreamError } from '../src/errors.ts';
import type { Config } from '../src/config.ts';
import { parseChallenge } from '../src/registry/challenge.ts';
import { upstreamStatusError } from '../src/registry/error-response.ts';
import { forwardedRequestHeaders, forwardedResponseHeaders, rewriteLocation } from '../src/registry/headers.ts';
import type { Manifest } from '../src/registry/manifest.ts';
import { pullScope } from '../src/registry/scope.ts';
import { smallRequest } from '../src/small-request.ts';

/** What a forwarded request asks for, in the client's words and in the upstream registry's. */
export interface Forwarding {
	kind: string;
	/** The friendly name; undefined for the ping. */
	name: string | undefined;
	/** The tag or digest, for messages. */
	item: string;
	/** Path at the upstream registry, made from validated parts only. */
	path: string;
	query?: Record<string, string>;
	/** The token that the upstream registry is shown. */
	token: string;
	/** Whether a redirect may be followed instead of passed on. */
	follow?: FastifyInstance['follow'];
	/** Called with a manifest that is served from memory or kept in it. */
	onManifest?: (manifest: Manifest) => void;
	/** Called with an answer that is streamed, before it is. */
	onAnswer?: (status: number, headers: IncomingHttpHeaders) => void;
}

declare module 'fastify' {
	interface FastifyInstance {
		registry: {
			dispatcher: Dispatcher;
			/** @returns the tags of an upstream repository. @throws RegistryError where the registry refuses or does not answer */
			tags(forwarding: Forwarding, request: FastifyRequest): Promise<string[]>;
		};
	}
	interface FastifyRequest {
		forwarding: Forwarding | null;
		/** This proxy's origin, as the client that is forwarded for sees it. */
		ownOrigin: string;
		/** @returns the error for an answer of the upstream registry that is neither a success nor a redirect; it knows this client's own challenge */
		refusal(forwarding: Forwarding, status: number, headers: IncomingHttpHeaders): Promise<RegistryError>;
	}
	interface FastifyReply {
		/** Streams the upstream registry's answer to the client. Whatever is not a success or a redirect becomes an error of this proxy's. */
		forward(forwarding: Forwarding): FastifyReply;
	}
}

/** A release's repository has one tag; this is for all else that could be pointed at. */
const MAX_TAGS_BYTES = 1024 * 1024;

/** Carries a request's AbortSignal past reply-from, which copies headers, symbols included, but knows no signal. */
const SIGNAL = Symbol('signal');

type Headers = Record<string, string> & { [SIGNAL]?: AbortSignal };
/** The parts of undici's response that reply-from hands on under its own type. */
interface UpstreamResponse {
	statusCode: number;
	headers: IncomingHttpHeaders;
	stream: Dispatcher.ResponseData['body'];
}

/** The upstream registry: its connections, and forwarding to it through @fastify/reply-from. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const pool = new Pool(config.REGISTRY_URL, {
			connections: config.REGISTRY_CONNECTIONS,
			connect: { timeout: config.REGISTRY_CONNECT_TIMEOUT },
			headersTimeout: config.REGISTRY_HEADERS_TIMEOUT,
			bodyTimeout: config.REGISTRY_BODY_TIMEOUT,
		});
		app.addHook('onClose', async () => pool.destroy());
		app.decorate('registry', { dispatcher: pool, tags });

		async function tags(forwarding: Forwarding, request: FastifyRequest): Promise<string[]> {
			const { status, headers, body } = await smallRequest(pool, {
				origin: config.REGISTRY_URL,
				path: forwarding.path,
				headers: { authorization: `Bearer ${forwarding.token}`, 'x-request-id': request.id },
				maxBytes: MAX_TAGS_BYTES,
				signal: request.signal,
			}).catch((error: unknown) => {
				throw upstreamError('registry', error);
			});
			if (status !== 200) {
				throw await refusal(request, forwarding, status, headers);
			}
			const list = parseJson(body) as { tags?: unknown } | undefined;
			return Array.isArray(list?.tags) ? list.tags.filter((tag) => typeof tag === 'string') : [];
		}

		// An agent of one's own, because reply-from's does not verify certificates; it is recognised by its `request`.
		await app.register(replyFrom, {
			base: config.REGISTRY_URL,
			undici: { request: (options: Dispatcher.RequestOptions, callback: never) => pool.request(withSignal(options), callback) } as never,
			disableRequestLogging: true,
		});

		const options = {
			queryString: (_search: unknown, _url: unknown, request: unknown) => new URLSearchParams((request as FastifyRequest).forwarding!.query).toString(),
			// Retrying is the client's business; reply-from would repeat a 503 ten times.
			retryDelay: () => null,
			rewriteRequestHeaders: requestHeaders,
			rewriteHeaders: (headers: IncomingHttpHeaders, request: unknown) => responseHeaders(headers, request as FastifyRequest, config.REGISTRY_URL),
			onResponse: (_request: unknown, reply: unknown, response: unknown) => {
				answer(reply as FastifyReply, response as UpstreamResponse).catch((error: unknown) => {
					(reply as FastifyReply).send(error);
				});
			},
			onError: (reply: unknown, { error }: { error: Error }) => void (reply as FastifyReply).send(upstreamError('registry', error)),
		};

		app.decorateRequest('forwarding', null);
		app.decorateRequest('ownOrigin', '');
		app.decorateRequest('refusal', async function (forwarding, status, headers) {
			return refusal(this, forwarding, status, headers);
		});
		app.decorateReply('forward', function (forwarding) {
			this.request.forwarding = forwarding;
			// Here, because it throws for an invalid Host, and inside reply-from nobody would catch it.
			this.request.ownOrigin = this.request.publicOrigin();
			return this.from(forwarding.path, options as never);
		});
	},
	{ name: 'registry', dependencies: ['follow'] },
);

function parseJson(body: Buffer): unknown {
	try {
		return JSON.parse(body.toString()) ?? undefined;
	} catch {
		return undefined;
	}
}

function withSignal(options: Dispatcher.RequestOptions): Dispatcher.RequestOptions {
	const headers = options.headers as Headers;
	const signal = headers[SIGNAL];
	delete headers[SIGNAL];
	return { ...options, signal };
}

function requestHeaders(request: unknown): Headers {
	const { headers, signal, forwarding, id } = request as FastifyRequest;
	const forwarded: Headers = forwardedRequestHeaders(headers);
	forwarded['authorization'] = `Bearer ${forwarding!.token}`;
	forwarded['x-request-id'] = id;
	forwarded[SIGNAL] = signal;
	return forwarded;
}

function responseHeaders(headers: IncomingHttpHeaders, request: FastifyRequest, registryUrl: string): IncomingHttpHeaders {
	const forwarded = forwardedResponseHeaders(headers);
	if (forwarded.location !== undefined) {
		forwarded.location = rewriteLocation(forwarded.location, registryUrl, request.ownOrigin);
	}
	return forwarded;
}

/** Streams a success, a redirect or "not modified"; turns anything else into an error. */
async function answer(reply: FastifyReply, { statusCode, headers, stream }: UpstreamResponse): Promise<void> {
	const { request } = reply;
	const forwarding = request.forwarding!;
	if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined && forwarding.follow !== undefined) {
		await discard(reply, stream);
		const followed = await forwarding.follow(headers.location, request);
		if (followed.statusCode < 400) {
			reply.code(followed.statusCode).headers(forwardedResponseHeaders(followed.headers)).send(followed.body);
			return;
		}
		await discard(reply, followed.body);
		throw upstreamStatusError(followed.statusCode === 401 || followed.statusCode === 403 ? 502 : followed.statusCode, { ...forwarding, name: forwarding.name ?? '' }, followed.headers);
	}
	if (statusCode < 400) {
		forwarding.onAnswer?.(statusCode, headers);
		// A body that breaks before its first byte is answered with an error, which must not say of itself what the upstream said of the body.
		stream.once('error', () => dropHeaders(reply));
		reply.send(stream);
		return;
	}
	await discard(reply, stream);
	throw await refusal(request, forwarding, statusCode, headers);
}

/** Headers that every answer of this proxy has. */
const OWN_HEADERS = new Set(['x-request-id', 'docker-distribution-api-version']);

/** Drops an answer of the upstream's, with the headers that describe it. */
async function discard(reply: FastifyReply, body: UpstreamResponse['stream']): Promise<void> {
	// What is left of it does not matter, not even that distribution 2.8 announces more than it sends with a 416.
	await body.dump().catch(() => undefined);
	dropHeaders(reply);
}

function dropHeaders(reply: FastifyReply): void {
	if (reply.raw.headersSent) {
		return;
	}
	for (const name of Object.keys(reply.getHeaders())) {
		if (!OWN_HEADERS.has(name)) {
			reply.removeHeader(name);
			// Where a body was about to be streamed, Node knows them already.
			reply.raw.removeHeader(name);
		}
	}
}

async function refusal(request: FastifyRequest, { kind, name, item }: Forwarding, status: number, headers: IncomingHttpHeaders): Promise<RegistryError> {
	if (status !== 401) {
		return upstreamStatusError(status, { kind, name: name ?? 'the registry', item }, headers);
	}
	const { error = 'invalid_token', errorDescription } = parseChallenge(headers['www-authenticate']) ?? {};
	try {
		const challenge = await request.challenge({ scope: name === undefined ? undefined : pullScope(name), error, errorDescription });
		return new RegistryError('UNAUTHORIZED', name === undefined ? 'the token is not valid any more' : `the token does not allow pulling ${name}, or is not valid any more`, {
			headers: { 'www-authenticate': challenge },
		});
	} catch (cause) {
		return cause instanceof RegistryError ? cause : upstreamError('registry', cause);
	}
}
