import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Dispatcher } from 'undici';
import { RegistryError, upstreamError } from '../../src/errors.ts';
import { LoadingCache } from '../../src/cache.ts';
import type { Config } from '../../src/config.ts';
import { formatChallenge, parseChallenge, type Challenge } from '../../src/registry/challenge.ts';
import { upstreamStatusError } from '../../src/registry/error-response.ts';
import { upstreamCause } from '../../src/registry/upstream-cause.ts';
import { publicOrigin } from '../../src/registry/origin.ts';
import { pullScope } from '../../src/registry/scope.ts';
import { smallRequest } from '../../src/http/small-request.ts';

/** Path of this proxy's token endpoint: the one that the balena API has as well. */
export const TOKEN_PATH = '/auth/v1/token';

declare module 'fastify' {
	interface FastifyInstance {
		challenge: {
			/**
			 * @returns the upstream registry's name for itself, which its tokens must carry.
			 * @throws RegistryError while it cannot be learned
			 */
			service(): Promise<string>;
		};
	}
	interface FastifyRequest {
		/** The scheme and host under which the client reached this proxy. @throws RegistryError for an invalid Host */
		publicOrigin(): string;
		/** @returns a `WWW-Authenticate` value that sends the client to this proxy's own token endpoint */
		challenge(parameters?: Omit<Challenge, 'realm' | 'service'>): Promise<string>;
		/**
		 * @param error of RFC 6750, for a token that will not do; undefined for a request without one
		 * @param scope what the client should ask for; by default, to pull from `name`
		 * @param why what the registry said of the token, if it was the registry
		 * @returns the 401
		 */
		unauthorized(
			name: string | undefined,
			error: string | undefined,
			scope?: string,
			why?: { errorDescription: string | undefined; cause: Error },
		): Promise<RegistryError>;
	}
}

/** Of the body, which does not matter. */
const MAX_PING_BYTES = 64 * 1024;
const FRESH_MS = 10 * 60_000;
const STALE_MS = 7 * 24 * 3600_000;

/** The upstream registry's challenge, learned once and refreshed, and this proxy's own in its place. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const learned = new LoadingCache<string>({
			max: 1,
			onStale: (error) =>
				app.log.warn({ error: (error as Error).message }, 'the registry is unavailable: its challenge is the one remembered'),
		});

		const service = (): Promise<string> =>
			learned.get('', async ({ signal }) => ({
				value: await askService(app.registry.dispatcher, config, signal),
				freshMs: FRESH_MS,
				staleMs: STALE_MS,
			}));
		app.decorate('challenge', { service });

		app.decorateRequest('publicOrigin', function () {
			if (config.PUBLIC_URL !== undefined) {
				return config.PUBLIC_URL;
			}
			const { protocol, host, hostHeader } = this.reached();
			return publicOrigin(undefined, protocol, host, hostHeader);
		});
		app.decorateRequest('challenge', async function (parameters = {}) {
			return formatChallenge({ realm: `${this.publicOrigin()}${TOKEN_PATH}`, service: await service(), ...parameters });
		});
		app.decorateRequest('unauthorized', async function (name, error, scope = name === undefined ? undefined : pullScope(name), why) {
			const challenge = await this.challenge({ scope, error, errorDescription: why?.errorDescription });
			const message =
				error === undefined
					? 'authentication required'
					: name === undefined
						? 'the token is not valid'
						: `the token does not allow pulling ${name}, or is not valid any more${error === 'insufficient_scope' && why !== undefined ? '; if the fleet has just been made public, that takes some minutes' : ''}`;
			return new RegistryError('UNAUTHORIZED', message, { headers: { 'www-authenticate': challenge }, cause: why?.cause });
		});
	},
	{ name: 'challenge', dependencies: ['registry', 'incoming'] },
);

/** @param signal ends the question when another one was faster */
async function askService(dispatcher: Dispatcher, { REGISTRY_URL, LOGIN_TIMEOUT }: Config, signal: AbortSignal): Promise<string> {
	try {
		const { status, headers, body } = await smallRequest(dispatcher, {
			origin: REGISTRY_URL,
			path: '/v2/',
			headers: {},
			maxBytes: MAX_PING_BYTES,
			signal: AbortSignal.any([signal, AbortSignal.timeout(LOGIN_TIMEOUT)]),
		});
		if (status === 429 || status >= 500) {
			throw upstreamStatusError(
				status,
				{ kind: 'ping', name: 'the registry', item: '' },
				headers,
				upstreamCause('the registry', status, body),
			);
		}
		const challenge = parseChallenge(headers['www-authenticate']);
		if (challenge === undefined) {
			throw new Error('the registry does not ask for a token at /v2/');
		}
		return challenge.service;
	} catch (error) {
		throw upstreamError('registry', error);
	}
}
