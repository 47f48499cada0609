import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { IncomingHttpHeaders } from 'node:http';
import { overloadedError, upstreamError } from '../../src/errors.ts';
import { LoadingCache } from '../../src/cache.ts';
import type { Config } from '../../src/config.ts';
import { acceptedTypes } from '../../src/registry/accept.ts';
import { isDigest } from '../../src/registry/digest.ts';
import { ANY_FORMAT } from '../../src/registry/formats.ts';
import { asDescribed, matchesEtag, MAX_MANIFEST_BYTES, MAX_READ_BYTES, readManifest, type Manifest } from '../../src/registry/manifest.ts';
import { provesAccess } from '../../src/registry/proof-of-access.ts';
import { smallRequest } from '../../src/http/small-request.ts';
import { LargeManifests } from './large-manifests.ts';
import { ManifestMemory } from './manifest-memory.ts';
import type { Target } from './target.ts';
import type { UpstreamRequest } from '../../src/registry/upstream-request.ts';

declare module 'fastify' {
	interface FastifyInstance {
		manifests: {
			/**
			 * Answers a manifest request: from memory for a token that the registry has accepted for the repository, else from
			 * the registry.
			 */
			send(upstreamRequest: UpstreamRequest, target: Target, request: FastifyRequest, reply: FastifyReply): void | Promise<void>;
			/**
			 * @returns what the tag `latest` of a repository is, in whichever format: from memory or the registry, as for `send`,
			 * up to `MAX_READ_BYTES`.
			 * @throws RegistryError where the registry does not answer
			 */
			load(upstreamRequest: UpstreamRequest, target: Target, request: FastifyRequest, reply: FastifyReply): Promise<Fetched>;
			/** Answers with a manifest that was made here, and so can be made again. */
			sendMade(manifest: Manifest, request: FastifyRequest, reply: FastifyReply): void;
			/** @returns whether a repository's manifest is in memory. Only for those who may know. */
			isRemembered(repository: string, digest: string): boolean;
			readonly counts: { hits: number; misses: number; size: number };
		};
	}
}

/** What one request to the upstream registry brought, for all who asked for the same at the same time with the same token. */
export type Fetched =
	| { kind: 'manifest'; manifest: Manifest; isVerified: boolean }
	| { kind: 'refused'; status: number; headers: IncomingHttpHeaders; body: Buffer }
	/** Longer than is wanted, more than there is room for at the moment, or no manifest: what is not kept, and can be streamed. */
	| { kind: 'large' | 'full' | 'unfit' };

/** Manifests, which are content-addressed and small: remembered by digest, and for a short time by tag. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const counts = { hits: 0, misses: 0 };
		const memory = new ManifestMemory(config);
		const large = new LargeManifests();
		const running = new LoadingCache<Fetched>({ max: 1 });

		async function fetchManifest(
			upstreamRequest: UpstreamRequest,
			repository: string,
			accept: string | undefined,
			maxBytes: number,
			request: FastifyRequest,
			signal: AbortSignal,
		): Promise<Fetched> {
			const client = app.shareOf(request.ip);
			let taken = 0;
			let isFull = false;
			try {
				const { status, headers, body, isCut } = await smallRequest(app.registry.dispatcher, {
					origin: config.REGISTRY_URL,
					path: upstreamRequest.path,
					headers: {
						authorization: `Bearer ${upstreamRequest.token}`,
						'x-request-id': request.id,
						...(accept === undefined ? {} : { accept }),
					},
					maxBytes,
					hasRoomFor: (length) => {
						isFull = !large.take(client, length);
						taken += isFull ? 0 : length;
						return !isFull;
					},
					signal,
					client,
					mayWait: true,
				});
				if (status >= 400) {
					return { kind: 'refused', status, headers, body };
				}
				if (status !== 200 || isCut) {
					return { kind: isFull ? 'full' : isCut ? 'large' : 'unfit' };
				}
				const { manifest: read, isVerified } = readManifest(upstreamRequest.item, headers, body);
				// One buffer for one digest, whoever asked for it, and in whichever words.
				const bytes = isVerified ? (memory.find(repository, read.digest)?.bytes ?? large.bytesOf(read.digest)) : undefined;
				const manifest = bytes === undefined ? read : { ...read, bytes };
				if (isVerified) {
					memory.remember(manifest, repository, upstreamRequest.item, accept);
				}
				return { kind: 'manifest', manifest, isVerified };
			} catch (error) {
				throw upstreamError('registry', error);
			} finally {
				large.give(client, taken);
			}
		}

		function fetchOnce(
			upstreamRequest: UpstreamRequest,
			{ repository, token }: Pick<Target, 'repository' | 'token'>,
			accept: string | undefined,
			maxBytes: number,
			request: FastifyRequest,
			reply: FastifyReply,
		): Promise<Fetched> {
			return running.get(
				`${token.fingerprint} ${upstreamRequest.path} ${maxBytes} ${accept ?? ''}`,
				async ({ signal }) => ({ value: await fetchManifest(upstreamRequest, repository, accept, maxBytes, request, signal), freshMs: 0 }),
				reply.raw,
			);
		}

		async function sendFetched(
			upstreamRequest: UpstreamRequest,
			{ repository, token }: Target,
			request: FastifyRequest,
			reply: FastifyReply,
		): Promise<void> {
			counts.misses++;
			request.facts.cache = 'miss';
			const accept = acceptedTypes(request.headers.accept);
			const fetched = await fetchOnce(upstreamRequest, { repository, token }, accept, MAX_MANIFEST_BYTES, request, reply);
			switch (fetched.kind) {
				case 'manifest':
					if (provesAccess({ kind: 'manifest', status: 200, isVerified: fetched.isVerified })) {
						token.accept(repository);
						upstreamRequest.onManifest?.(fetched.manifest);
					}
					if (!sendWhole(fetched.manifest, fetched.isVerified, request, reply)) {
						reply.forward(upstreamRequest);
					}
					return;
				case 'refused':
					if (fetched.status === 404 && upstreamRequest.onAbsent !== undefined) {
						return upstreamRequest.onAbsent();
					}
					throw await request.refusal(upstreamRequest, fetched.status, fetched.headers, fetched.body);
				default:
					return reply.forward(upstreamRequest);
			}
		}

		/** @returns false where it would be too much at the moment, and nothing was said of it: it can be streamed from the registry */
		function sendWhole(manifest: Manifest, isVerified: boolean, request: FastifyRequest, reply: FastifyReply): boolean {
			const { bytes, mediaType, digest, headers } = manifest;
			const isKnown = matchesEtag(request.headers['if-none-match'], digest);
			const hasBody = !isKnown && request.method !== 'HEAD';
			const held = hasBody ? large.hold(manifest, isVerified, app.shareOf(request.ip), reply) : bytes;
			if (held === undefined) {
				return false;
			}
			if (headers !== undefined) {
				reply.headers(headers);
			}
			reply.headers({ 'docker-content-digest': digest, etag: `"${digest}"` });
			if (isKnown) {
				reply.code(304).send();
				return true;
			}
			reply.header('content-type', mediaType);
			if (hasBody) {
				large.send(held, reply);
			} else {
				reply.header('content-length', bytes.length).send();
			}
			return true;
		}

		app.decorate('manifests', {
			send: (upstreamRequest, target, request, reply) => {
				const { repository, token } = target;
				// A part of a manifest is asked for by nobody we know; the registry may answer it.
				if (request.headers.range !== undefined) {
					return reply.forward(upstreamRequest);
				}
				const manifest = token.isAccepted(repository)
					? memory.recall(repository, upstreamRequest.item, acceptedTypes(request.headers.accept))
					: undefined;
				if (manifest === undefined && request.method === 'HEAD' && !isDigest(upstreamRequest.item)) {
					counts.misses++;
					request.facts.cache = 'miss';
					// Its body is nobody's business. What it says of the digest helps the next request, which will be for that.
					return reply.forward({
						...upstreamRequest,
						onAnswer: (status, headers) => {
							const digest = headers['docker-content-digest'];
							if (status !== 200 || typeof digest !== 'string' || !isDigest(digest)) {
								return;
							}
							upstreamRequest.onManifest?.({ bytes: Buffer.alloc(0), mediaType: '', digest });
							const known = memory.find(repository, digest);
							const described = known && asDescribed(known, headers);
							if (described !== undefined && provesAccess({ kind: 'manifest', status, isVerified: true })) {
								token.accept(repository);
								memory.noteTag(described, repository, upstreamRequest.item, acceptedTypes(request.headers.accept));
							}
						},
					});
				}
				if (manifest === undefined) {
					return sendFetched(upstreamRequest, target, request, reply);
				}
				counts.hits++;
				request.facts.cache = 'hit';
				upstreamRequest.onManifest?.(manifest);
				if (!sendWhole(manifest, true, request, reply)) {
					reply.forward(upstreamRequest);
				}
			},
			load: async (upstreamRequest, target, request, reply) => {
				const accept = acceptedTypes(ANY_FORMAT);
				const { repository, token } = target;
				const manifest = token.isAccepted(repository) ? memory.recall(repository, upstreamRequest.item, accept) : undefined;
				if (manifest !== undefined) {
					counts.hits++;
					return manifest.bytes.length > MAX_READ_BYTES ? { kind: 'large' } : { kind: 'manifest', manifest, isVerified: true };
				}
				counts.misses++;
				request.facts.cache = 'miss';
				app.charge('cold image', request.ip);
				const fetched = await fetchOnce(upstreamRequest, target, accept, MAX_READ_BYTES, request, reply);
				if (fetched.kind === 'manifest' && provesAccess({ kind: 'manifest', status: 200, isVerified: fetched.isVerified })) {
					token.accept(repository);
				}
				return fetched;
			},
			sendMade: (manifest, request, reply) => {
				if (!sendWhole(manifest, true, request, reply)) {
					throw overloadedError('registry');
				}
			},
			isRemembered: (repository, digest) => memory.find(repository, digest) !== undefined,
			get counts() {
				return { ...counts, size: memory.size };
			},
		});
	},
	{ name: 'manifests', dependencies: ['request-log', 'registry', 'forward', 'rate-limit', 'refusal'] },
);
