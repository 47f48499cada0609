import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { boundedDispatch } from '../../src/http/bounded-dispatch.ts';
import { RegistryError, upstreamError } from '../../src/errors.ts';
import type { Config } from '../../src/config.ts';
import { parseChallenge } from '../../src/registry/challenge.ts';
import { upstreamStatusError } from '../../src/registry/error-response.ts';
import { ANY_FORMAT, formatError, lacksFormats } from '../../src/registry/formats.ts';
import { pullScope } from '../../src/registry/scope.ts';
import { upstreamCause } from '../../src/registry/upstream-cause.ts';
import type { UpstreamRequest } from '../../src/registry/upstream-request.ts';
import { smallRequest } from '../../src/http/small-request.ts';
import { upstreamDispatcher } from '../../src/http/upstream-dispatcher.ts';

declare module 'fastify' {
	interface FastifyInstance {
		registry: {
			dispatcher: Dispatcher;
			/** The bound on requests to the registry, and to where it redirects: the same for all that are composed with it. */
			bound: Dispatcher.DispatcherComposeInterceptor;
			/** How many requests were sent once more, because a kept connection had ended. */
			readonly repeated: number;
			/** @returns the tags of an upstream repository. @throws RegistryError where the registry refuses or does not answer */
			tags(upstreamRequest: UpstreamRequest, request: FastifyRequest): Promise<string[]>;
		};
	}
	interface FastifyRequest {
		/**
		 * @param body its beginning, for the log
		 * @returns the error for an answer of the upstream registry that is neither a success nor a redirect; it knows this client's own challenge
		 */
		refusal(upstreamRequest: UpstreamRequest, status: number, headers: IncomingHttpHeaders, body: Buffer): Promise<RegistryError>;
	}
}

/** A release's repository has one tag; this is for all else that could be pointed at. */
const MAX_TAGS_BYTES = 1024 * 1024;

/** The upstream registry: connections to it, and what its refusals mean. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const upstream = upstreamDispatcher(
			{
				origin: config.REGISTRY_URL,
				connections: config.REGISTRY_CONNECTIONS,
				connectTimeout: config.REGISTRY_CONNECT_TIMEOUT,
				headersTimeout: config.REGISTRY_HEADERS_TIMEOUT,
				bodyTimeout: config.REGISTRY_BODY_TIMEOUT,
			},
			config,
		);
		app.addHook('onClose', async () => upstream.destroy());
		const bound = boundedDispatch({
			concurrency: config.REGISTRY_CONNECTIONS,
			queue: config.REGISTRY_QUEUE,
			waitMs: config.REGISTRY_CONNECT_TIMEOUT,
		});
		const dispatcher = upstream.dispatcher.compose(bound);
		app.decorate('registry', {
			dispatcher,
			bound,
			tags,
			get repeated() {
				return upstream.repeated;
			},
		});

		async function tags(upstreamRequest: UpstreamRequest, request: FastifyRequest): Promise<string[]> {
			const { status, headers, body } = await smallRequest(dispatcher, {
				origin: config.REGISTRY_URL,
				path: upstreamRequest.path,
				headers: { authorization: `Bearer ${upstreamRequest.token}`, 'x-request-id': request.id },
				maxBytes: MAX_TAGS_BYTES,
				signal: request.signal,
				client: app.shareOf(request.ip),
			}).catch((error: unknown) => {
				throw upstreamError('registry', error);
			});
			if (status >= 400) {
				throw await request.refusal(upstreamRequest, status, headers, body);
			}
			const list = parseJson(body) as { tags?: unknown } | null | undefined;
			// A list that is not legible is not an empty one. A repository without tags has null.
			if (status !== 200 || typeof list?.tags !== 'object') {
				throw upstreamStatusError(502, { ...upstreamRequest, name: upstreamRequest.name ?? '' }, {});
			}
			return Array.isArray(list.tags) ? list.tags.filter((tag) => typeof tag === 'string') : [];
		}

		/** Only after a 404 that may mean it: whether the manifest is there in a format that the client has not asked for. Where that cannot be learned, the 404 stands. */
		async function otherFormat(
			request: FastifyRequest,
			{ kind, name = '', path, token }: UpstreamRequest,
			status: number,
		): Promise<RegistryError | undefined> {
			const { accept } = request.headers;
			if (status !== 404 || kind !== 'manifest' || !lacksFormats(accept)) {
				return undefined;
			}
			const answer = await smallRequest(dispatcher, {
				origin: config.REGISTRY_URL,
				path,
				method: 'HEAD',
				headers: { authorization: `Bearer ${token}`, accept: ANY_FORMAT, 'x-request-id': request.id },
				maxBytes: 0,
				signal: request.signal,
				client: app.shareOf(request.ip),
			}).catch(() => undefined);
			return answer?.status === 200 ? formatError(name, answer.headers['content-type'], accept) : undefined;
		}

		app.decorateRequest('refusal', async function (upstreamRequest, status, headers, body) {
			return (
				(await otherFormat(this, upstreamRequest, status)) ??
				refusal(this, upstreamRequest, status, headers, upstreamCause('the registry', status, body))
			);
		});
	},
	{ name: 'registry', dependencies: ['rate-limit'] },
);

function parseJson(body: Buffer): unknown {
	try {
		return JSON.parse(body.toString()) ?? undefined;
	} catch {
		return undefined;
	}
}

async function refusal(
	request: FastifyRequest,
	{ kind, name, item, token }: UpstreamRequest,
	status: number,
	headers: IncomingHttpHeaders,
	why: Error,
): Promise<RegistryError> {
	if (status !== 401) {
		return upstreamStatusError(status, { kind, name: name ?? 'the registry', item }, headers, why);
	}
	const { error: given, errorDescription } = parseChallenge(headers['www-authenticate']) ?? {};
	if (given === 'invalid_token') {
		// Not that it allows too little (RFC 6750 section 3.1), but that it is none: the API may have other keys by now.
		request.server.upstreamTokens.forget(token);
		request.server.clientTokens.forget(token);
	}
	const error = given ?? 'invalid_token';
	const hint = given === 'insufficient_scope' ? '; if the fleet has just been made public, that takes some minutes' : '';
	try {
		const challenge = await request.challenge({ scope: name === undefined ? undefined : pullScope(name), error, errorDescription });
		return new RegistryError(
			'UNAUTHORIZED',
			name === undefined ? 'the token is not valid any more' : `the token does not allow pulling ${name}, or is not valid any more${hint}`,
			{
				headers: { 'www-authenticate': challenge },
				cause: why,
			},
		);
	} catch (cause) {
		return cause instanceof RegistryError ? cause : upstreamError('registry', cause);
	}
}
