import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { lruCache } from '../../src/lru.ts';
import type { Config } from '../../src/config.ts';
import { isBlobRedirect, provesAccess } from '../../src/registry/proof-of-access.ts';
import { readRedirect, redirectLife } from '../../src/registry/redirect.ts';
import type { Target } from './target.ts';
import type { UpstreamRequest } from '../../src/registry/upstream-request.ts';

declare module 'fastify' {
	interface FastifyInstance {
		blobs: {
			/**
			 * Answers a blob request: streamed from the registry, or redirected to where the registry said, for a token that it
			 * accepted.
			 */
			send(upstreamRequest: UpstreamRequest, target: Target, request: FastifyRequest, reply: FastifyReply): void;
			readonly counts: { hits: number; misses: number; size: number };
		};
	}
}

const MAX_REDIRECTS = 10_000;
const MAX_LOCATION_LENGTH = 4096;

/** Blobs. Their bytes are never kept; the redirects to object storage are, briefly. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const isRemembering = config.REDIRECT_TTL > 0 && app.follow === undefined;
		const counts = { hits: 0, misses: 0 };
		const redirects = lruCache<{ status: number; location: string }>(MAX_REDIRECTS, { ttlResolution: 0 });

		app.decorate('blobs', {
			send: (upstreamRequest, { repository, token }, request, reply) => {
				// A signed URL is bound to its method.
				const key = `${request.method} ${repository} ${upstreamRequest.item}`;
				const redirect = token.isAccepted(repository) ? redirects.get(key) : undefined;
				if (redirect !== undefined) {
					counts.hits++;
					request.facts.cache = 'hit';
					reply.code(redirect.status).header('location', redirect.location).header('docker-content-digest', upstreamRequest.item).send();
					return;
				}
				counts.misses++;
				request.facts.cache = 'miss';
				reply.forward({
					...upstreamRequest,
					mayFollow: true,
					onAnswer: (status, headers) => {
						if (!provesAccess({ kind: 'blob', status, headers, digest: upstreamRequest.item })) {
							return;
						}
						token.accept(repository);
						if (!isRemembering || !isBlobRedirect(status) || headers.location === undefined) {
							return;
						}
						const redirect = readRedirect(headers.location, config.REGISTRY_URL, upstreamRequest.path);
						// Redirects within the registry itself are relative or rewritten for each client, and so not kept.
						if (redirect.to === 'elsewhere' && redirect.location.length <= MAX_LOCATION_LENGTH) {
							const { location } = redirect;
							const ttl = Math.floor(redirectLife(location, Date.now(), config.REDIRECT_TTL));
							if (ttl > 0) {
								redirects.set(key, { status, location }, { ttl });
							}
						}
					},
				});
			},
			get counts() {
				return { ...counts, size: redirects.size };
			},
		});
	},
	{ name: 'blobs', dependencies: ['request-log', 'forward', 'follow-redirects'] },
);
