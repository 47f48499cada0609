import replyFrom from '@fastify/reply-from';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { overloadedError, upstreamError } from '../../src/errors.ts';
import { FairQueue } from '../../src/fair-queue.ts';
import { forwardRequest, type ForwardedAnswer } from '../../src/http/forward-request.ts';
import type { Config } from '../../src/config.ts';
import { forwardedRequestHeaders } from '../../src/registry/headers.ts';
import type { UpstreamRequest } from '../../src/registry/upstream-request.ts';
import { answerLater } from '../service/answer-later.ts';
import type { ClientGone } from './ask-for.ts';
import { sendAnswer } from './send-answer.ts';

declare module 'fastify' {
	interface FastifyInstance {
		/** Bodies of which the beginning is being skipped. */
		skips: FairQueue;
	}
	interface FastifyRequest {
		/** This proxy's origin, as the client that is forwarded for sees it. */
		ownOrigin: string;
	}
	interface FastifyReply {
		/**
		 * Streams the upstream registry's answer to the client. Whatever is not a success or a redirect becomes an error of this
		 * proxy's.
		 */
		forward(upstreamRequest: UpstreamRequest): void;
	}
}

/**
 * Bodies at once of which much is skipped, shared between clients: that passes at the registry's pace and not at the client's,
 * who pays with nothing for gigabytes. It takes seconds, and an engine that goes on with a layer asks again after a 503.
 */
const MAX_SKIPS = 32;

/** Carries what ends an upstream request past reply-from, which copies headers, symbols included, but knows no signal. */
const CLIENT_GONE = Symbol('client gone');

type Headers = Record<string, string> & { [CLIENT_GONE]?: ClientGone };
/**
 * An answer, or why there is none, in place of the stream that reply-from takes from undici and hands on. It gives up what nobody
 * wants any more.
 */
interface Outcome {
	answer: ForwardedAnswer | Error;
	destroy(): void;
}

/** Forwarding to the upstream registry, through @fastify/reply-from. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		// An agent of one's own, because reply-from's does not verify certificates; it is recognised by its `request`.
		await app.register(replyFrom, {
			base: config.REGISTRY_URL,
			undici: {
				request: (
					options: Dispatcher.DispatchOptions,
					callback: (error: null, response: { statusCode: number; headers: IncomingHttpHeaders; body: Outcome }) => void,
				) =>
					forwardRequest(app.registry.dispatcher, options, takeClientGone(options), app.onBodyBytes, (error, answer) =>
						callback(null, { statusCode: answer?.statusCode ?? 502, headers: NONE, body: outcomeOf(error ?? answer!) }),
					),
			} as never,
			disableRequestLogging: true,
		});

		app.decorate('skips', new FairQueue({ capacity: MAX_SKIPS, queue: 0, refusal: () => overloadedError('registry') }));

		const options = {
			queryString: (_search: unknown, _url: unknown, request: unknown) => (request as FastifyRequest).upstreamRequest!.query ?? '',
			// Retrying is the client's business; reply-from would repeat a 503 ten times.
			retryDelay: () => null,
			rewriteRequestHeaders: requestHeaders,
			rewriteHeaders: () => NONE,
			onResponse: (_request: unknown, reply: unknown, response: unknown) => {
				const { answer } = (response as { stream: Outcome }).stream;
				answerLater(
					reply as FastifyReply,
					answer instanceof Error ? Promise.reject(upstreamError('registry', answer)) : sendAnswer(reply as FastifyReply, answer, config),
				);
			},
		};

		app.decorateRequest('ownOrigin', '');
		app.decorateReply('forward', function (upstreamRequest) {
			this.request.upstreamRequest = upstreamRequest;
			// Here, because it throws for an invalid Host, and inside reply-from nobody would catch it.
			this.request.ownOrigin = this.request.publicOrigin();
			const clientGone: ClientGone = new EventEmitter();
			clientGone.client = app.shareOf(this.request.ip);
			clientGone.mayWait = upstreamRequest.kind === 'manifest';
			const leave = (): void => void clientGone.emit('abort');
			if (this.raw.destroyed) {
				// It does not say so again. Not before anybody listens.
				setImmediate(leave);
			} else {
				this.raw.once('close', leave);
			}
			this.request.clientGone = clientGone;
			this.from(upstreamRequest.path, options as never);
		});
	},
	{ name: 'forward', dependencies: ['rate-limit', 'registry', 'challenge', 'ask-for', 'follow-redirects', 'refusal'] },
);

const NONE = {};

/** An error goes the same way as an answer, because reply-from would log it apart from what becomes of it. */
function outcomeOf(answer: ForwardedAnswer | Error): Outcome {
	return { answer, destroy: () => void (answer instanceof Error ? undefined : answer.body.destroy()) };
}

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
