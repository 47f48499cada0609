import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { IncomingHttpHeaders } from 'node:http';
import type { Config } from '../../src/config.ts';
import type { RegistryError } from '../../src/errors.ts';
import { smallRequest } from '../../src/http/small-request.ts';
import { parseChallenge } from '../../src/registry/challenge.ts';
import { upstreamStatusError } from '../../src/registry/error-response.ts';
import { ANY_FORMAT, formatError, lacksFormats } from '../../src/registry/formats.ts';
import { upstreamCause } from '../../src/registry/upstream-cause.ts';
import type { UpstreamRequest } from '../../src/registry/upstream-request.ts';
import { goneSignal } from '../service/gone-signal.ts';

declare module 'fastify' {
	interface FastifyRequest {
		/**
		 * @param body its beginning, for the log
		 * @returns the error for an answer of the upstream registry that is neither a success nor a redirect; it knows this
		 * client's own challenge
		 */
		refusal(upstreamRequest: UpstreamRequest, status: number, headers: IncomingHttpHeaders, body: Buffer): Promise<RegistryError>;
	}
}

/** What the upstream registry's refusals mean to the client. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		app.decorateRequest('refusal', async function (upstreamRequest, status, headers, body) {
			const cause = upstreamCause('the registry', status, body);
			const { kind, name, item } = upstreamRequest;
			if (status !== 401) {
				return (
					(await otherFormat(this, upstreamRequest, status)) ??
					upstreamStatusError(status, { kind, name: name ?? 'the registry', item }, headers, cause)
				);
			}
			const { error, errorDescription } = parseChallenge(headers['www-authenticate']) ?? {};
			if (error === 'invalid_token') {
				// Not that it allows too little (RFC 6750 section 3.1), but that it is none: the API may have other keys by now.
				app.upstreamTokens.forget(upstreamRequest.token);
				app.clientTokens.forget(upstreamRequest.token);
			}
			return this.unauthorized(name, error ?? 'invalid_token', undefined, { errorDescription, cause });
		});

		/**
		 * Only after a 404 that may mean it: whether the manifest is there in a format that the client has not asked for. Where
		 * that cannot be learned, the 404 stands.
		 */
		async function otherFormat(
			request: FastifyRequest,
			{ kind, name = '', path, token }: UpstreamRequest,
			status: number,
		): Promise<RegistryError | undefined> {
			const { accept } = request.headers;
			if (status !== 404 || kind !== 'manifest' || !lacksFormats(accept)) {
				return undefined;
			}
			const answer = await smallRequest(app.registry.dispatcher, {
				origin: config.REGISTRY_URL,
				path,
				method: 'HEAD',
				headers: { authorization: `Bearer ${token}`, accept: ANY_FORMAT, 'x-request-id': request.id },
				maxBytes: 0,
				signal: goneSignal(request),
				client: app.shareOf(request.ip),
			}).catch(() => undefined);
			return answer?.status === 200 ? formatError(name, answer.headers['content-type'], accept) : undefined;
		}
	},
	{ name: 'refusal', dependencies: ['rate-limit', 'registry', 'challenge', 'upstream-tokens', 'client-tokens'] },
);
