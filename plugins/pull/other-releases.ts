import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { isDeepStrictEqual } from 'node:util';
import { RegistryError } from '../../src/errors.ts';
import type { Caller } from '../../src/balena/caller.ts';
import { parseReleaseText } from '../../src/balena/reference.ts';
import { pins, type BlockImage } from '../../src/balena/block.ts';
import { fleetsOf, repositoriesOf, sealedFor, type BlockGrant, type FleetGrant } from '../../src/token/grant.ts';
import { clientOf } from '../service/client-of.ts';
import type { KnownToken } from '../service/client-tokens.ts';
import type { UpstreamToken } from '../tokens/upstream-tokens.ts';
import type { DigestKind } from './digest-search.ts';
import type { BlockTarget } from './blocks.ts';
import type { Target } from './target.ts';
import { goneSignal } from '../service/gone-signal.ts';

/** A request in a fleet, or in a block of several, and whose. */
export interface FleetRequest<G extends FleetGrant | BlockGrant = FleetGrant | BlockGrant> {
	grant: G;
	token: KnownToken;
	request: FastifyRequest;
	reply: FastifyReply;
}

declare module 'fastify' {
	interface FastifyInstance {
		/**
		 * A fleet's releases besides the one that a token is for, on behalf of the token's holder. All of them throw
		 * RegistryErrors: a challenge where the token's credentials cannot be used, the upstream's failure where it could not be
		 * asked.
		 */
		otherReleases: {
			/** @returns where the release that a tag names is, or a block's images of it; where it names none, the sentence that says so */
			byTag(of: FleetRequest, tag: string): Promise<Target | BlockTarget | { absent: string }>;
			/** @returns a block's images, with a token for them */
			ofBlock(of: FleetRequest, images: readonly BlockImage[]): Promise<BlockTarget>;
			/** @returns where a digest is that is not where the token points. @throws RegistryError *_UNKNOWN where it is in no release */
			byDigest(of: FleetRequest, kind: DigestKind, digest: string): Promise<Target>;
			/**
			 * @returns where what refers to a digest is: where that digest is. Undefined for where the token points, which it is
			 * too where it is nowhere.
			 */
			bySubject(of: FleetRequest<FleetGrant>, digest: string): Promise<Target | undefined>;
			/** @returns where the holder was served a digest from, if that can be asked again at no cost; behind a block's name at any */
			byNote(of: FleetRequest, digest: string): undefined | Promise<Target | undefined>;
			/**
			 * @returns the versions that can be pulled as tags, of a block those of all its fleets; undefined where the fleet is
			 * not there for the holder
			 */
			versions(of: FleetRequest): Promise<string[] | undefined>;
		};
	}
}

export default fp(
	async (app: FastifyInstance) => {
		/** @throws a challenge where the token carries credentials that cannot be used */
		async function callerOf({ grant, token, request, reply }: FleetRequest): Promise<Caller> {
			const caller = app.sealedCredentials.callerOf(token, sealedFor(grant));
			if (caller === undefined) {
				throw await request.unauthorized(request.facts.name, 'invalid_token');
			}
			return { ...caller, client: clientOf(request, reply) };
		}

		/** A release that is not the token's own needs an upstream token of its own, which is not the client's to see. */
		function targetAt(
			repository: string,
			version: string,
			{ slug }: FleetGrant | BlockGrant,
			upstream: UpstreamToken,
			caller: Caller,
		): Target {
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

		async function blockAt(images: readonly BlockImage[], of: FleetRequest, caller: Caller): Promise<BlockTarget> {
			const { slug } = of.grant;
			if (of.grant.kind === 'block' && isDeepStrictEqual(images, of.grant.images)) {
				return { slug, images, token: of.token, holder: of.token };
			}
			const upstream = await app.upstreamTokens.get(
				images.map(({ repository }) => repository),
				caller,
				{ keep: true },
			);
			return {
				slug,
				images,
				token: app.clientTokens.read(`Bearer ${upstream.text}`)!,
				holder: of.token,
				onChild: (repository, manifest) => app.digestSearch.note(slug, repository, manifest, caller),
			};
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
			const { grant } = of;
			const repository = await app.digestSearch.find({
				slug: grant.slug,
				kind,
				digest,
				caller,
				fleets: fleetsOf(grant),
				except: repositoriesOf(grant),
			});
			return repository !== undefined && isOwn(grant, repository) ? undefined : repository;
		}

		async function isAtOwn({ grant, token, request }: FleetRequest<FleetGrant>, digest: string): Promise<boolean> {
			const [own] = repositoriesOf(grant);
			return (
				own !== undefined &&
				(grant.digest === digest ||
					(token.isAccepted(own) && app.manifests.isRemembered(own, digest)) ||
					(await app.digestSearch.isIn(own, 'manifests', digest, token.upstream, request.ip, goneSignal(request))))
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
						return isOwn(of.grant, repository) ? { repository, version, token: of.token } : actAt(repository, version, of, caller);
					}
					if (resolution.kind === 'block') {
						return blockAt(resolution.images, of, caller);
					}
					if (resolution.absent === 'release') {
						return { absent: resolution.message };
					}
					throw new RegistryError('MANIFEST_UNKNOWN', resolution.message, { forPeople: true });
				}),

			byDigest: (of, kind, digest) =>
				orChallenge(of, async () => {
					if (of.grant.kind === 'block' && !of.grant.canMove) {
						throw nowhere(of, kind, digest);
					}
					const caller = await callerOf(of);
					const repository = await find(of, kind, digest, caller);
					if (repository === undefined) {
						throw nowhere(of, kind, digest);
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
				const caller = app.sealedCredentials.callerOf(token, sealedFor(grant));
				const repository = caller && app.digestSearch.notes.find(grant.slug, digest, caller.fingerprint);
				if (caller === undefined || repository === undefined || isOwn(grant, repository)) {
					return undefined;
				}
				return grant.kind === 'block'
					? orChallenge(of, () => actAt(repository, '', of, { ...caller, client: clientOf(of.request, of.reply) }))
					: app.upstreamTokens.peek([repository], caller).then((upstream) => upstream && targetAt(repository, '', grant, upstream, caller));
			},

			ofBlock: (of, images) => orChallenge(of, async () => blockAt(images, of, await callerOf(of))),

			versions: (of) =>
				orChallenge(of, async () => {
					const caller = await callerOf(of);
					const lists = await Promise.all(fleetsOf(of.grant).map((slug) => app.resolver.versions(slug, caller)));
					return lists.every((versions) => versions === undefined) ? undefined : [...new Set(lists.flatMap((versions) => versions ?? []))];
				}),
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

function isOwn(grant: FleetGrant | BlockGrant, repository: string): boolean {
	return repositoriesOf(grant).includes(repository);
}

function nowhere({ grant, request }: FleetRequest, kind: DigestKind, digest: string): RegistryError {
	const { slug } = grant;
	return new RegistryError(
		kind === 'blobs' ? 'BLOB_UNKNOWN' : 'MANIFEST_UNKNOWN',
		grant.kind === 'block'
			? `${digest} is nothing of ${slug}, or not any more: its index is made of releases that are current; what lasts is ${pins(request.facts.name ?? slug, grant.images).join(', ')}`
			: `no release of ${slug} has ${digest}, or only an old one; a pin that lasts names the release, as in ${slug}/<release>@sha256:...`,
		{ forPeople: true },
	);
}
