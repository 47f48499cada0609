import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import pLimit from 'p-limit';
import { Pool, type Dispatcher } from 'undici';
import { overloadedError, RegistryError, upstreamError } from '../../src/errors.ts';
import type { Caller } from '../../src/balena/caller.ts';
import { loadPine, type Pine } from '../../src/balena/sdk.ts';
import type { Config } from '../../src/config.ts';
import { pullScope } from '../../src/registry/scope.ts';
import { smallRequest } from '../../src/http/small-request.ts';
import { VERIFIED } from '../../src/http/verified.ts';

/** The balena API, as far as pulls need it. Both calls throw only RegistryErrors. */
export interface Api {
	/** Connections to the API. */
	dispatcher: Dispatcher;
	/** Asks the OData API on a caller's behalf. An invalid key counts as anonymous there: only `token` tells. */
	query(resource: 'release' | 'application', options: Record<string, unknown>, caller: Caller): Promise<unknown>;
	/** Asks for a registry token that lets the caller pull from repositories. @throws UNAUTHORIZED where the credentials are not valid */
	token(service: string, repositories: readonly string[], caller: Caller): Promise<string>;
}

declare module 'fastify' {
	interface FastifyInstance {
		api: Api;
	}
}

const LOAD_SDK_AFTER_MS = 1500;

/** Largest answer of the token endpoint, in bytes; tokens are one or two KB. */
const MAX_TOKEN_ANSWER_BYTES = 64 * 1024;

export default fp(
	async (app: FastifyInstance, config: Config) => {
		const limit = pLimit(config.API_CONCURRENCY);
		const dispatcher = new Pool(config.API_URL, {
			connections: config.API_CONCURRENCY,
			connect: { ...VERIFIED, timeout: config.API_TIMEOUT },
		});
		app.addHook('onClose', async () => dispatcher.destroy());

		let pine: Promise<Pine> | undefined;
		const getPine = (): Promise<Pine> => (pine ??= loadPine(config.API_URL, config.API_TIMEOUT));
		// Loading it holds up all else for a while, so not while the first requests come, unless they need it.
		const later = setTimeout(() => void getPine(), LOAD_SDK_AFTER_MS);
		later.unref();
		app.addHook('onClose', async () => clearTimeout(later));

		/** Bounds the calls in flight and in wait; the deadline of one begins when it begins to wait. */
		async function call<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
			if (limit.activeCount >= config.API_CONCURRENCY && limit.pendingCount >= config.API_QUEUE) {
				throw overloadedError('api');
			}
			// Not AbortSignal.timeout: balena-sdk listens on for as long as a signal lives, and throws where nobody can catch when it fires after the answer.
			const deadline = new AbortController();
			const timer = setTimeout(
				() => deadline.abort(new DOMException('the API did not answer in time', 'TimeoutError')),
				config.API_TIMEOUT,
			);
			try {
				return await limit(() => {
					deadline.signal.throwIfAborted();
					return run(deadline.signal);
				});
			} catch (error) {
				if (error instanceof RegistryError) {
					throw error;
				}
				// balena-sdk's error tells the status, but no headers.
				throw (error as { statusCode?: unknown }).statusCode === 429 ? tokenRefusal(429, undefined) : upstreamError('API', error);
			} finally {
				clearTimeout(timer);
			}
		}

		app.decorate('api', {
			dispatcher,
			query: (resource, options, caller) =>
				call(async (signal) => {
					const headers = caller.kind === 'anonymous' ? {} : { Authorization: `Bearer ${caller.secret}` };
					// anonymous: true keeps the SDK's own login out of it; the credentials are the header's.
					return (await getPine()).get({ resource, options, passthrough: { headers, anonymous: true, signal } });
				}),

			token: (service, repositories, caller) =>
				call(async (signal) => {
					const query = new URLSearchParams({ service });
					for (const repository of repositories) {
						query.append('scope', pullScope(repository));
					}
					const { status, headers, body, isCut } = await smallRequest(dispatcher, {
						origin: config.API_URL,
						path: `/auth/v1/token?${query}`,
						headers: { accept: 'application/json', ...(caller.kind === 'anonymous' ? {} : { authorization: caller.authorization }) },
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
				}),
		});
	},
	{ name: 'api' },
);

function tokenRefusal(status: number, retryAfter: string | string[] | undefined): RegistryError {
	if (status === 401 || status === 403) {
		return new RegistryError('UNAUTHORIZED', 'the login was refused: use any user name, and a valid balena API key as the password', {
			forPeople: true,
		});
	}
	if (status === 429) {
		const seconds = typeof retryAfter === 'string' && /^\d{1,6}$/.test(retryAfter) ? retryAfter : '60';
		return new RegistryError('TOOMANYREQUESTS', 'the balena API answers that there are too many requests; try again later', {
			headers: { 'retry-after': seconds },
		});
	}
	return upstreamError('API', new Error(`the token endpoint answered with status ${status}`));
}
