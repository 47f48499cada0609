import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import pLimit from 'p-limit';
import { Agent, request as httpRequest } from 'undici';
import { overloadedError, RegistryError, upstreamError } from '../src/errors.ts';
import type { Caller } from '../src/balena/caller.ts';
import { loadPine, type Pine } from '../src/balena/sdk.ts';
import type { Config } from '../src/config.ts';
import { pullScope } from '../src/registry/scope.ts';

/** The balena API, as far as pulls need it. Both calls throw only RegistryErrors. */
export interface Api {
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

/** Largest answer of the token endpoint, in bytes; tokens are one or two KB. */
const MAX_TOKEN_ANSWER_BYTES = 64 * 1024;

export default fp(
	async (app: FastifyInstance, config: Config) => {
		const limit = pLimit(config.API_CONCURRENCY);
		const agent = new Agent({
			connections: config.API_CONCURRENCY,
			connectTimeout: config.API_TIMEOUT,
			maxResponseSize: MAX_TOKEN_ANSWER_BYTES,
		});
		app.addHook('onClose', async () => agent.destroy());

		let pine: Promise<Pine> | undefined;
		const getPine = (): Promise<Pine> => (pine ??= loadPine(config.API_URL, config.API_TIMEOUT));
		// After the first request could be served, not before: it takes a while.
		app.addHook('onListen', async () => void setImmediate(() => void getPine()));

		/** Bounds the calls in flight and in wait; the deadline of one begins when it begins to wait. */
		async function call<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
			if (limit.pendingCount >= config.API_QUEUE) {
				throw overloadedError();
			}
			const signal = AbortSignal.timeout(config.API_TIMEOUT);
			try {
				return await limit(() => {
					signal.throwIfAborted();
					return run(signal);
				});
			} catch (error) {
				throw error instanceof RegistryError ? error : upstreamError('API', error);
			}
		}

		app.decorate('api', {
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
					const { statusCode, headers, body } = await httpRequest(`${config.API_URL}/auth/v1/token?${query}`, {
						dispatcher: agent,
						signal,
						headers: { accept: 'application/json', ...(caller.kind === 'anonymous' ? {} : { authorization: caller.authorization }) },
					});
					if (statusCode !== 200) {
						await body.dump();
						throw tokenRefusal(statusCode, headers['retry-after']);
					}
					const answer = (await body.json()) as { token?: unknown } | null;
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
		return new RegistryError('UNAUTHORIZED', 'the login was refused: use any user name, and a valid balena API key as the password', { forPeople: true });
	}
	if (status === 429) {
		const seconds = typeof retryAfter === 'string' && /^\d{1,6}$/.test(retryAfter) ? retryAfter : '60';
		return new RegistryError('TOOMANYREQUESTS', 'the balena API answers that there are too many requests; try again later', { headers: { 'retry-after': seconds } });
	}
	return upstreamError('API', new Error(`the token endpoint answered with status ${status}`));
}
