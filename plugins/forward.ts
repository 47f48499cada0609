import replyFrom from '@fastify/reply-from';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { upstreamError } from '../src/errors.ts';
import type { Config } from '../src/config.ts';
import { upstreamStatusError } from '../src/registry/error-response.ts';
import { forwardedRequestHeaders, forwardedResponseHeaders, rewriteLocation } from '../src/registry/headers.ts';
import { minorGcByBytes } from '../src/minor-gc.ts';
import type { Forwarding } from './registry.ts';

declare module 'fastify' {
	interface FastifyRequest {
		forwarding: Forwarding | null;
		/** This proxy's origin, as the client that is forwarded for sees it. */
		ownOrigin: string;
		/** Emits "abort" when the connection of a client that is forwarded for has closed. */
		clientGone: EventEmitter | null;
	}
	interface FastifyReply {
		/** Streams the upstream registry's answer to the client. Whatever is not a success or a redirect becomes an error of this proxy's. */
		forward(forwarding: Forwarding): FastifyReply;
	}
}

/** Carries what ends an upstream request past reply-from, which copies headers, symbols included, but knows no signal. */
const SIGNAL = Symbol('signal');

/** An emitter of "abort", which undici takes for a signal: Fastify's `request.signal` costs more than all else that is done for a request. */
type Headers = Record<string, string> & { [SIGNAL]?: EventEmitter };
/** The parts of undici's response that reply-from hands on under its own type. */
interface UpstreamResponse {
	statusCode: number;
	headers: IncomingHttpHeaders;
	stream: Dispatcher.ResponseData['body'];
}

/** Forwarding to the upstream registry, through @fastify/reply-from. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const streaming = app.registry.dispatcher.compose(countBodies(minorGcByBytes()));
		// An agent of one's own, because reply-from's does not verify certificates; it is recognised by its `request`.
		await app.register(replyFrom, {
			base: config.REGISTRY_URL,
			undici: { request: (options: Dispatcher.RequestOptions, callback: never) => streaming.request(withSignal(options), callback) } as never,
			disableRequestLogging: true,
		});

		const options = {
			queryString: (_search: unknown, _url: unknown, request: unknown) => {
				const { query } = (request as FastifyRequest).forwarding!;
				return query === undefined ? '' : new URLSearchParams(query).toString();
			},
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
		app.decorateRequest('clientGone', null);
		app.decorateReply('forward', function (forwarding) {
			this.request.forwarding = forwarding;
			// Here, because it throws for an invalid Host, and inside reply-from nobody would catch it.
			this.request.ownOrigin = this.request.publicOrigin();
			const clientGone = new EventEmitter();
			this.raw.once('close', () => clientGone.emit('abort'));
			this.request.clientGone = clientGone;
			return this.from(forwarding.path, options as never);
		});
	},
	{ name: 'forward', dependencies: ['registry', 'follow'] },
);

/** Tells the lengths of all that is streamed. */
function countBodies(count: (length: number) => void): Dispatcher.DispatcherComposeInterceptor {
	return (dispatch) => (options, handler) =>
		dispatch(options, {
			onRequestStart: (...event) => handler.onRequestStart?.(...event),
			onRequestUpgrade: (...event) => handler.onRequestUpgrade?.(...event),
			onResponseStart: (...event) => handler.onResponseStart?.(...event),
			onResponseData: (controller, chunk) => {
				count(chunk.length);
				handler.onResponseData?.(controller, chunk);
			},
			onResponseEnd: (...event) => handler.onResponseEnd?.(...event),
			onResponseError: (...event) => handler.onResponseError?.(...event),
		});
}

function withSignal(options: Dispatcher.RequestOptions): Dispatcher.RequestOptions {
	const headers = options.headers as Headers;
	const signal = headers[SIGNAL];
	delete headers[SIGNAL];
	return { ...options, signal: signal ?? null };
}

function requestHeaders(request: unknown): Headers {
	const { headers, clientGone, forwarding, id } = request as FastifyRequest;
	const forwarded: Headers = forwardedRequestHeaders(headers);
	forwarded['authorization'] = `Bearer ${forwarding!.token}`;
	forwarded['x-request-id'] = id;
	forwarded[SIGNAL] = clientGone ?? undefined;
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
		stream.once('error', (error) => {
			if (reply.raw.headersSent && !reply.raw.destroyed) {
				// The client notices, because its connection ends before the body does; here nobody else would tell.
				request.log.warn({ error: error.message }, 'the registry broke off in the middle of an answer');
			}
			// A body that breaks before its first byte is answered with an error, which must not say of itself what the upstream said of the body.
			dropHeaders(reply);
		});
		reply.send(stream);
		return;
	}
	await discard(reply, stream);
	throw await request.refusal(forwarding, statusCode, headers);
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
