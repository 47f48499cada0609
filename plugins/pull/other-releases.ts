import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { RegistryError } from '../../src/errors.ts';
import type { Caller } from '../../src/balena/caller.ts';
import { parseReleaseText } from '../../src/balena/reference.ts';
import type { FleetGrant } from '../../src/token/grant.ts';
import { clientOf } from '../service/client-of.ts';
import type { KnownToken } from '../service/client-tokens.ts';
import type { UpstreamToken } from '../tokens/upstream-tokens.ts';
import type { DigestKind } from './digest-search.ts';
import type { Target } from './target.ts';

/** A request in a fleet, and whose. */
export interface FleetRequest {
	grant: FleetGrant;
	token: KnownToken;
	request: FastifyRequest;
	reply: FastifyReply;
}

declare module 'fastify' {
	interface FastifyInstance {
		/**
		 * A fleet's releases besides the one that a token is for, on behalf of the token's holder. All of them throw RegistryErrors: a challenge where the token's credentials cannot be used, the
		 * upstream's failure where it could not be asked.
		 */
		otherReleases: {
			/** @returns where the release that a tag names is; undefined where it names none, with the sentence that says so */
			byTag(of: FleetRequest, tag: string): Promise<Target | { absent: string }>;
			/** @returns where a digest is that is not where the token points. @throws RegistryError *_UNKNOWN where it is in no release */
			byDigest(of: FleetRequest, kind: DigestKind, digest: string): Promise<Target>;
			/** @returns where what refers to a digest is: where that digest is. Undefined for where the token points, which it is too where it is nowhere. */
			bySubject(of: FleetRequest, digest: string): Promise<Target | undefined>;
			/** @returns where the holder was served a digest from, if that can be asked again at no cost */
			byNote(of: FleetRequest, digest: string): undefined | Promise<Target | undefined>;
			/** @returns the versions that can be pulled as tags; undefined where the fleet is not there for the holder */
			versions(of: FleetRequest): Promise<string[] | undefined>;
		};
	}
}

export default fp(
	async (app: FastifyInstance) => {
		/** @throws a challenge where the token carries credentials that cannot be used */
		async function callerOf({ grant, token, request, reply }: FleetRequest): Promise<Caller> {
			const caller = app.sealedCredentials.callerOf(token, grant.slug);
			if (caller === undefined) {
				throw await request.unauthorized(request.facts.name, 'invalid_token');
			}
			return { ...caller, client: clientOf(request, reply) };
		}

		/** A release that is not the token's own needs an upstream token of its own, which is not the client's to see. */
		function targetAt(repository: string, version: string, { slug }: FleetGrant, upstream: UpstreamToken, caller: Caller): Target {
			return {
				repository,
				version,
				token: app.clientTokens.read(`Bearer ${upstream.text}`)!,
				onManifest: (manifest) => app.digestSearch.note(slug, repository, manifest, caller),
			};
		}

		async function actAt(repository: string, version: string, of: FleetRequest, caller: Caller): Promise<Target> {
			return targetAt(repository, version, of.grant, await app.upstreamTokens.get([repository], caller, { keep: true }), caller);
		}

		/** Credentials that were valid when the token was issued may not be any more: the client has to log in again. */
		async function orChallenge<T>({ request }: FleetRequest, act: () => Promise<T>): Promise<T> {
			try {
				return await act();
			} catch (error) {
				throw error instanceof RegistryError && error.code === 'UNAUTHORIZED' && error.headers['www-authenticate'] === undefined
					? await request.unauthorized(request.facts.name, 'invalid_token')
					: error;
			}
		}

		async function find(of: FleetRequest, kind: DigestKind, digest: string, caller: Caller): Promise<string | undefined> {
			const { grant, request } = of;
			const repository = await app.digestSearch.find({
				slug: grant.slug,
				kind,
				digest,
				caller,
				except: ownRepository(grant),
				signal: request.signal,
			});
			return repository === ownRepository(grant) ? undefined : repository;
		}

		async function isAtOwn({ grant, token, request }: FleetRequest, digest: string): Promise<boolean> {
			const own = ownRepository(grant);
			return (
				own !== undefined &&
				(grant.digest === digest ||
					(token.isAccepted(own) && app.manifests.isRemembered(own, digest)) ||
					(await app.digestSearch.isIn(own, 'manifests', digest, token.upstream, request.ip, request.signal)))
			);
		}

		app.decorate('otherReleases', {
			byTag: (of, tag) =>
				orChallenge(of, async () => {
					const caller = await callerOf(of);
					const { slug } = of.grant;
					const resolution = await app.resolver.resolve({ slug, release: parseReleaseText(tag), service: undefined }, caller);
					if (resolution.kind === 'image') {
						const { repository, version } = resolution;
						return repository === ownRepository(of.grant)
							? { repository, version, token: of.token }
							: actAt(repository, version, of, caller);
					}
					if (resolution.absent === 'release') {
						return { absent: resolution.message };
					}
					throw new RegistryError('MANIFEST_UNKNOWN', resolution.message, { forPeople: true });
				}),

			byDigest: (of, kind, digest) =>
				orChallenge(of, async () => {
					const caller = await callerOf(of);
					const repository = await find(of, kind, digest, caller);
					if (repository === undefined) {
						const { slug } = of.grant;
						throw new RegistryError(
							kind === 'blobs' ? 'BLOB_UNKNOWN' : 'MANIFEST_UNKNOWN',
							`no release of ${slug} has ${digest}, or only an old one; a pin that lasts names the release, as in ${slug}/<release>@sha256:...`,
							{ forPeople: true },
						);
					}
					return actAt(repository, '', of, caller);
				}),

			bySubject: (of, digest) =>
				orChallenge(of, async () => {
					if (await isAtOwn(of, digest)) {
						return undefined;
					}
					const caller = await callerOf(of);
					const repository = await find(of, 'manifests', digest, caller);
					return repository === undefined ? undefined : actAt(repository, '', of, caller);
				}),

			byNote: (of, digest) => {
				const { grant, token } = of;
				if (!app.digestSearch.notes.has(grant.slug, digest)) {
					return undefined;
				}
				const caller = app.sealedCredentials.callerOf(token, grant.slug);
				const repository = caller && app.digestSearch.notes.find(grant.slug, digest, caller.fingerprint);
				return caller === undefined || repository === undefined || repository === ownRepository(grant)
					? undefined
					: app.upstreamTokens.peek([repository], caller).then((upstream) => upstream && targetAt(repository, '', grant, upstream, caller));
			},

			versions: (of) => orChallenge(of, async () => app.resolver.versions(of.grant.slug, await callerOf(of))),
		});
	},
	{
		name: 'other-releases',
		dependencies: [
			'request-log',
			'sealed-credentials',
			'client-tokens',
			'challenge',
			'digest-search',
			'resolver',
			'upstream-tokens',
			'manifests',
		],
	},
);

function ownRepository({ current }: FleetGrant): string | undefined {
	return current.kind === 'image' ? current.repository : undefined;
}
