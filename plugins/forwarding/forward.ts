import replyFrom from '@fastify/reply-from';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { upstreamError } from '../../src/errors.ts';
import { forwardRequest, type AnswerCallback, type ForwardedAnswer } from '../../src/http/forward-request.ts';
import type { Config } from '../../src/config.ts';
import { upstreamStatusError } from '../../src/registry/error-response.ts';
import { forwardedRequestHeaders, forwardedResponseHeaders, rewriteLocation } from '../../src/registry/headers.ts';
import { minorGcByBytes } from '../../src/process/minor-gc.ts';
import type { UpstreamRequest } from '../../src/registry/upstream-request.ts';

declare module 'fastify' {
	interface FastifyRequest {
		upstreamRequest: UpstreamRequest | null;
		/** This proxy's origin, as the client that is forwarded for sees it. */
		ownOrigin: string;
		/** Emits "abort" when the connection of a client that is forwarded for has closed. Fastify's `request.signal` costs more than all else that is done for a request. */
		clientGone: ClientGone | null;
	}
	interface FastifyReply {
		/** Streams the upstream registry's answer to the client. Whatever is not a success or a redirect becomes an error of this proxy's. */
		forward(upstreamRequest: UpstreamRequest): FastifyReply;
	}
}

/** Carries what ends an upstream request past reply-from, which copies headers, symbols included, but knows no signal. */
const CLIENT_GONE = Symbol('client gone');

type ClientGone = EventEmitter & { client?: string };
type Headers = Record<string, string> & { [CLIENT_GONE]?: ClientGone };
/** An answer as reply-from hands it on. */
interface UpstreamResponse {
	statusCode: number;
	headers: IncomingHttpHeaders;
	stream: ForwardedAnswer['body'];
}

/** Forwarding to the upstream registry, through @fastify/reply-from. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const collectGarbage = minorGcByBytes();
		// An agent of one's own, because reply-from's does not verify certificates; it is recognised by its `request`.
		await app.register(replyFrom, {
			base: config.REGISTRY_URL,
			undici: {
				request: (options: Dispatcher.DispatchOptions, callback: AnswerCallback) =>
					forwardRequest(app.registry.dispatcher, options, takeClientGone(options), collectGarbage, callback),
			} as never,
			disableRequestLogging: true,
		});

		const options = {
			queryString: (_search: unknown, _url: unknown, request: unknown) => {
				const { query } = (request as FastifyRequest).upstreamRequest!;
				return query === undefined ? '' : new URLSearchParams(query).toString();
			},
			// Retrying is the client's business; reply-from would repeat a 503 ten times.
			retryDelay: () => null,
			rewriteRequestHeaders: requestHeaders,
			rewriteHeaders: (headers: IncomingHttpHeaders, request: unknown) =>
				responseHeaders(headers, request as FastifyRequest, config.REGISTRY_URL),
			onResponse: (_request: unknown, reply: unknown, response: unknown) => {
				answer(reply as FastifyReply, response as UpstreamResponse).catch((error: unknown) => {
					(reply as FastifyReply).send(error);
				});
			},
			onError: (reply: unknown, { error }: { error: Error }) => void (reply as FastifyReply).send(upstreamError('registry', error)),
		};

		app.decorateRequest('upstreamRequest', null);
		app.decorateRequest('ownOrigin', '');
		app.decorateRequest('clientGone', null);
		app.decorateReply('forward', function (upstreamRequest) {
			this.request.upstreamRequest = upstreamRequest;
			// Here, because it throws for an invalid Host, and inside reply-from nobody would catch it.
			this.request.ownOrigin = this.request.publicOrigin();
			const clientGone: ClientGone = new EventEmitter();
			clientGone.client = app.shareOf(this.request.ip);
			this.raw.once('close', () => clientGone.emit('abort'));
			this.request.clientGone = clientGone;
			return this.from(upstreamRequest.path, options as never);
		});
	},
	{ name: 'forward', dependencies: ['rate-limit', 'registry', 'challenge', 'follow-redirects'] },
);

function takeClientGone({ headers }: Dispatcher.DispatchOptions): ClientGone {
	const clientGone = (headers as Headers)[CLIENT_GONE]!;
	delete (headers as Headers)[CLIENT_GONE];
	return clientGone;
}

function requestHeaders(request: unknown): Headers {
	const { headers, clientGone, upstreamRequest, id } = request as FastifyRequest;
	const forwarded: Headers = forwardedRequestHeaders(headers);
	forwarded['authorization'] = `Bearer ${upstreamRequest!.token}`;
	forwarded['x-request-id'] = id;
	forwarded[CLIENT_GONE] = clientGone!;
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
	const upstreamRequest = request.upstreamRequest!;
	if (
		statusCode >= 300 &&
		statusCode < 400 &&
		headers.location !== undefined &&
		upstreamRequest.mayFollow === true &&
		reply.server.follow !== undefined
	) {
		dropHeaders(reply);
		const followed = await reply.server.follow(headers.location, request);
		if (followed.statusCode < 400) {
			reply.code(followed.statusCode).headers(forwardedResponseHeaders(followed.headers)).send(followed.body);
			return;
		}
		// What is left of it does not matter.
		await followed.body.dump().catch(() => undefined);
		throw upstreamStatusError(
			followed.statusCode === 401 || followed.statusCode === 403 ? 502 : followed.statusCode,
			{ ...upstreamRequest, name: upstreamRequest.name ?? '' },
			followed.headers,
		);
	}
	if (statusCode >= 400) {
		dropHeaders(reply);
		if (statusCode === 404 && upstreamRequest.onAbsent !== undefined) {
			await upstreamRequest.onAbsent();
			return;
		}
		throw await request.refusal(upstreamRequest, statusCode, headers);
	}
	upstreamRequest.onAnswer?.(statusCode, headers);
	if ('whole' in stream) {
		reply.send(stream.whole);
	} else {
		stream.once('error', (error) => {
			if (reply.raw.headersSent && !reply.raw.destroyed) {
				// The client notices, because its connection ends before the body does; here nobody else would tell.
				request.log.warn({ error: error.message }, 'the registry broke off in the middle of an answer');
			}
			// A body that breaks before its first byte is answered with an error, which must not say of itself what the upstream said of the body.
			dropHeaders(reply);
		});
		reply.send(stream);
	}
}

/** Headers that every answer of this proxy has. */
const OWN_HEADERS = new Set(['x-request-id', 'docker-distribution-api-version']);

/** Takes back the headers that describe an answer of the upstream's. */
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
