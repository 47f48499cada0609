import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { lruCache } from '../../src/lru.ts';
import type { Dispatcher } from 'undici';
import { overloadedError, RegistryError, upstreamError } from '../../src/errors.ts';
import type { Caller } from '../../src/balena/caller.ts';
import { loadPine, sdkDispatcher, type Pine } from '../../src/balena/sdk.ts';
import type { Config } from '../../src/config.ts';
import { FairQueue } from '../../src/fair-queue.ts';
import { pullScope } from '../../src/registry/scope.ts';
import { retryAfterSeconds } from '../../src/http/retry-after.ts';
import { smallRequest } from '../../src/http/small-request.ts';
import { upstreamDispatcher } from '../../src/http/upstream-dispatcher.ts';
import { userAgent } from '../../src/http/user-agent.ts';

export interface CallOptions {
	/** Whether it is about names that were found before: those, and logins, go before what nobody asked for until now. */
	isKnown?: boolean;
	/** Ends the call when nobody waits for it any more. */
	signal?: AbortSignal;
}

/** The balena API, as far as pulls need it. Both calls throw only RegistryErrors, or the signal's reason. */
export interface Api {
	/** Connections to the API. */
	dispatcher: Dispatcher;
	/** How many requests were sent once more, because a kept connection had ended. */
	readonly repeated: number;
	/** Asks the OData API on a caller's behalf, and at its cost. An invalid key counts as anonymous there: only `token` tells. */
	query(resource: 'release' | 'application', options: Record<string, unknown>, caller: Caller, call?: CallOptions): Promise<unknown>;
	/** Asks for a registry token that lets the caller pull from repositories. @throws UNAUTHORIZED where the credentials are not valid */
	token(service: string, repositories: readonly string[], caller: Caller, call?: CallOptions): Promise<string>;
}

declare module 'fastify' {
	interface FastifyInstance {
		api: Api;
	}
}

const LOAD_SDK_AFTER_MS = 1500;

/** Largest answer of the token endpoint, in bytes; tokens are one or two KB. */
const MAX_TOKEN_ANSWER_BYTES = 64 * 1024;

/** For how many callers, and for how long at the most, it is remembered that the API wants to be left alone. */
const MAX_PAUSES = 1000;
const MAX_PAUSE_SECONDS = 300;

export default fp(
	async (app: FastifyInstance, config: Config) => {
		const calls = new FairQueue({
			capacity: config.API_CONCURRENCY,
			queue: config.API_QUEUE,
			refusal: () => overloadedError('api'),
		});
		const upstream = upstreamDispatcher(
			{ origin: config.API_URL, connections: config.API_CONCURRENCY, connectTimeout: config.API_TIMEOUT },
			config,
		);

		const agent = userAgent(config.PUBLIC_URL);
		let pine: Promise<Pine> | undefined;
		const sdk = sdkDispatcher(config.API_URL, config.API_TIMEOUT, agent, config);
		// Not the SDK's, which stays the one of the global fetch; connections that nobody uses hold no process.
		app.addHook('onClose', async () => upstream.destroy());
		const getPine = (): Promise<Pine> => (pine ??= loadPine(config.API_URL, sdk.dispatcher));
		// Loading it holds up all else for a while, so not while the first requests come, unless they need it.
		const later = setTimeout(() => void getPine(), LOAD_SDK_AFTER_MS);
		later.unref();
		app.addHook('onClose', async () => clearTimeout(later));

		/** Until when, in milliseconds since the epoch, the API has asked to be left alone; by caller, because it may count by login. */
		const pauses = lruCache<number>(MAX_PAUSES);

		/** Bounds the calls in flight and in wait, in turns by client; the deadline of one begins when it begins to wait. */
		async function call<T>(caller: Caller, { isKnown = false, signal }: CallOptions, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
			const pauseMs = (pauses.get(caller.fingerprint) ?? 0) - Date.now();
			if (pauseMs > 0) {
				throw new TooManyRequests(Math.ceil(pauseMs / 1000));
			}
			// Not AbortSignal.timeout: balena-sdk listens on for as long as a signal lives, and throws where nobody can catch
			// when it fires after the answer.
			const deadline = new AbortController();
			const giveUp = (): void => deadline.abort(signal?.reason);
			signal?.addEventListener('abort', giveUp, { once: true });
			const timer = setTimeout(
				() => deadline.abort(new DOMException('the API did not answer in time', 'TimeoutError')),
				config.API_TIMEOUT,
			);
			const place = {
				client: caller.client === undefined ? '' : app.shareOf(caller.client.address),
				isKnown: isKnown || caller.kind === 'credentials',
			};
			try {
				return await calls.run(place, deadline.signal, () => run(deadline.signal));
			} catch (error) {
				signal?.throwIfAborted();
				const known = error instanceof RegistryError ? error : queryError(error, caller);
				if (known instanceof TooManyRequests && known.toldSeconds !== undefined) {
					pauses.set(caller.fingerprint, Date.now() + Math.min(known.toldSeconds, MAX_PAUSE_SECONDS) * 1000);
				}
				throw known;
			} finally {
				clearTimeout(timer);
				signal?.removeEventListener('abort', giveUp);
			}
		}

		app.decorate('api', {
			dispatcher: upstream.dispatcher,
			get repeated() {
				return upstream.repeated + sdk.repeated;
			},
			query: async (resource, options, caller, settings = {}) => {
				if (settings.isKnown !== true && caller.client !== undefined) {
					app.charge('cold name', caller.client.address);
				}
				return call(caller, settings, async (signal) => {
					const headers = caller.kind === 'anonymous' ? {} : { Authorization: `Bearer ${caller.secret}` };
					// anonymous: true keeps the SDK's own login out of it; the credentials are the header's.
					return (await getPine()).get({ resource, options, passthrough: { headers, anonymous: true, signal } });
				});
			},

			token: async (service, repositories, caller, settings = {}) => {
				// The registry's own names need no query, but the API looks up each of them. A login has a limit of its own.
				if (settings.isKnown !== true && caller.kind === 'anonymous' && repositories.length > 0 && caller.client !== undefined) {
					app.charge('cold name', caller.client.address);
				}
				return call(caller, settings, async (signal) => {
					const query = new URLSearchParams({ service });
					for (const repository of repositories) {
						query.append('scope', pullScope(repository));
					}
					const { status, headers, body, isCut } = await smallRequest(upstream.dispatcher, {
						origin: config.API_URL,
						path: `/auth/v1/token?${query}`,
						headers: {
							accept: 'application/json',
							'user-agent': agent,
							...(caller.kind === 'anonymous' ? {} : { authorization: caller.authorization }),
						},
						maxBytes: MAX_TOKEN_ANSWER_BYTES,
						signal,
					});
					if (status !== 200) {
						throw tokenRefusal(status, headers['retry-after']);
					}
					const answer = isCut ? null : (JSON.parse(body.toString()) as { token?: unknown } | null);
					if (typeof answer?.token !== 'string' || !/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/.test(answer.token)) {
						throw new Error('the answer of the token endpoint has no token');
					}
					return answer.token;
				});
			},
		});
	},
	{ name: 'api', dependencies: ['rate-limit'] },
);

/** @param error what balena-sdk threw: its BalenaRequestError has the status, and the headers as fetch gives them */
function queryError(error: unknown, caller: Caller): RegistryError {
	const { statusCode, responseHeaders } = error as { statusCode?: unknown; responseHeaders?: { get?(name: string): string | null } };
	switch (statusCode) {
		case 429:
		case 503:
			return tokenRefusal(statusCode, responseHeaders?.get?.('retry-after') ?? undefined);
		case 401:
		case 403:
			return caller.kind === 'credentials'
				? tokenRefusal(statusCode, undefined)
				: new RegistryError('DENIED', 'the balena API refuses to answer without a login', { cause: error });
		default:
			return upstreamError('API', error);
	}
}

function tokenRefusal(status: number, retryAfter: string | string[] | undefined): RegistryError {
	if (status === 401 || status === 403) {
		return new RegistryError('UNAUTHORIZED', 'the login was refused: use any user name, and a valid balena API key as the password', {
			forPeople: true,
		});
	}
	const seconds = retryAfterSeconds(retryAfter, Date.now());
	if (status === 429) {
		return new TooManyRequests(seconds === undefined ? undefined : Number(seconds));
	}
	if (status === 503) {
		return new RegistryError('UNAVAILABLE', 'the balena API is not available now; try again later', {
			headers: seconds === undefined ? {} : { 'retry-after': seconds },
			cause: new Error('the API answered with status 503'),
		});
	}
	return upstreamError('API', new Error(`the token endpoint answered with status ${status}`));
}

/** How long a client is told to wait where the API does not say. */
const DEFAULT_WAIT_SECONDS = 60;

class TooManyRequests extends RegistryError {
	/** What the API says of how long to wait; undefined where it says nothing. */
	readonly toldSeconds: number | undefined;

	constructor(toldSeconds: number | undefined) {
		super('TOOMANYREQUESTS', 'the balena API answers that there are too many requests; try again later', {
			headers: { 'retry-after': String(toldSeconds ?? DEFAULT_WAIT_SECONDS) },
		});
		this.toldSeconds = toldSeconds;
	}
}
