import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { RegistryError } from '../../src/errors.ts';
import { ANONYMOUS } from '../../src/balena/caller.ts';
import { architectureOf } from '../../src/balena/architectures.ts';
import { isTracked, parseReference } from '../../src/balena/reference.ts';
import { formsOf } from '../../src/balena/release-forms.ts';
import type { Config } from '../../src/config.ts';
import type { Manifest } from '../../src/registry/manifest.ts';
import type { ContentRequest } from '../../src/registry/request.ts';
import {
	fixedGrant,
	resolvedGrant,
	type BlockGrant,
	type FailureGrant,
	type FleetGrant,
	type Grant,
	type ImageGrant,
} from '../../src/token/grant.ts';
import { clientOf } from '../service/client-of.ts';
import type { KnownToken } from '../service/client-tokens.ts';
import type { BlockTarget } from './blocks.ts';
import type { DigestKind } from './digest-search.ts';
import type { FleetRequest } from './other-releases.ts';

/** Where the thing that a request asks for is, and what the upstream registry is shown to get it. */
export interface Target {
	repository: string;
	version: string;
	token: KnownToken;
	/** To be told of a manifest that is served from here; only where that helps later requests. */
	onManifest?: (manifest: Manifest) => void;
	/** Whose other releases may have it, where the registry says that it is not here. */
	fleet?: FleetGrant;
	/** What the client is told beside the answer. */
	warning?: string;
}

declare module 'fastify' {
	interface FastifyInstance {
		/**
		 * @throws RegistryError with the sentence that explains why there is nothing, or a challenge where the token does not
		 * cover the name
		 */
		targetOf(
			parsed: ContentRequest,
			token: KnownToken,
			request: FastifyRequest,
			reply: FastifyReply,
		): Target | BlockTarget | Promise<Target | BlockTarget>;
		/**
		 * @returns the versions of a bare fleet or block, where a tag means a release; undefined for any other name: which tags
		 * that has, the registry itself says.
		 * @throws likewise
		 */
		versionsOf(name: string, token: KnownToken, request: FastifyRequest, reply: FastifyReply): Promise<string[] | undefined>;
	}
}

/** From a friendly name to a repository, by what the client's token says. No state is needed for that, so any replica can do it. */
export default fp(
	async (app: FastifyInstance, { TAGS }: Config) => {
		app.decorate('targetOf', (parsed, token, request, reply) => {
			const grant = token.grants.get(parsed.name);
			return grant === undefined
				? grantWithout(parsed.name, token, request, reply).then((found) => targetIn(found, parsed, token, request, reply))
				: targetIn(grant, parsed, token, request, reply);
		});

		app.decorate('versionsOf', async (name, token, request, reply) => {
			const grant = token.grants.get(name) ?? (await grantWithout(name, token, request, reply));
			return (grant.kind === 'fleet' || grant.kind === 'block') && grant.isBare && TAGS !== 'ignore'
				? app.otherReleases.versions({ grant, token, request, reply })
				: undefined;
		});

		/** For a name that the token does not mention. A token that mentions none at all is the API's own, and perhaps for this name. */
		async function grantWithout(name: string, token: KnownToken, request: FastifyRequest, reply: FastifyReply): Promise<Grant> {
			const reference = parseReference(name);
			if (reference.kind !== 'fleet') {
				return fixedGrant(reference);
			}
			if (token.grants.size > 0) {
				throw await request.unauthorized(name, 'insufficient_scope');
			}
			return resolvedGrant(reference, await app.resolver.resolve(reference, { ...ANONYMOUS, client: clientOf(request, reply) }));
		}

		function targetIn(
			grant: Grant,
			parsed: ContentRequest,
			token: KnownToken,
			request: FastifyRequest,
			reply: FastifyReply,
		): Target | BlockTarget | Promise<Target | BlockTarget> {
			return grant.kind === 'fleet' || grant.kind === 'block' ? targetOf({ grant, token, request, reply }, parsed) : targetAt(grant, token);
		}

		/**
		 * A name that can come to mean another release, or that stands for images of several fleets: docs/tags.md,
		 * docs/architectures.md.
		 */
		function targetOf(of: FleetRequest, parsed: ContentRequest): Target | BlockTarget | Promise<Target | BlockTarget> {
			switch (parsed.kind) {
				case 'tags':
					return currentOf(of);
				case 'blob':
					return targetOfDigest(of, 'blobs', parsed.digest);
				case 'referrers':
					return targetOfSubject(of, parsed.digest);
				case 'manifest': {
					const { kind, text } = parsed.reference;
					switch (kind) {
						case 'tag':
							return targetOfTag(of, text);
						case 'digest':
							return targetOfDigest(of, 'manifests', text);
						case 'fallback-tag':
							return targetOfSubject(of, text.replace('-', ':').replace(/\..*$/, ''));
					}
				}
			}
		}

		/** @returns what a name without a tag means */
		function currentOf({ grant, token }: FleetRequest): Target | BlockTarget {
			const { slug } = grant;
			return grant.kind === 'fleet' ? targetAt(grant.current, token) : { slug, images: grant.images, token, holder: token };
		}

		function targetOfTag(of: FleetRequest, tag: string): Target | BlockTarget | Promise<Target | BlockTarget> {
			const { grant } = of;
			if (!grant.isBare || isTracked(tag) || TAGS === 'ignore') {
				return currentOf(of);
			}
			// Most words have the shape of no release, so that nobody has to be asked. Who names an architecture does not want
			// the one of their machine.
			const isRelease = formsOf(tag).length > 0 || (grant.kind === 'block' && architectureOf(tag) !== undefined);
			return TAGS === 'lenient' && !isRelease ? targetWithoutTag(of, tag) : targetOfRelease(of, tag);
		}

		async function targetOfRelease(of: FleetRequest, tag: string): Promise<Target | BlockTarget> {
			const found = await app.otherReleases.byTag(of, tag);
			if (!('absent' in found)) {
				return found;
			}
			if (TAGS === 'lenient') {
				return targetWithoutTag(of, tag);
			}
			throw new RegistryError('MANIFEST_UNKNOWN', found.absent, { forPeople: true });
		}

		function targetWithoutTag(of: FleetRequest, tag: string): Target | BlockTarget {
			const target = currentOf(of);
			const versions = new Set('images' in target ? target.images.map(({ version }) => version) : [target.version]);
			const [version] = versions;
			const meant = version === '' || versions.size > 1 ? '' : `: this is ${version}`;
			return { ...target, warning: `the tag ${tag} names no release of ${of.grant.slug} and is ignored${meant}` };
		}

		function targetOfDigest(of: FleetRequest, kind: DigestKind, digest: string): Target | BlockTarget | Promise<Target | BlockTarget> {
			return isInBlock(of)
				? (app.blocks.known(of, digest) ?? app.blocks.find(of, kind, digest))
				: digestInFleet(of as FleetRequest<FleetGrant>, kind, digest);
		}

		function digestInFleet(of: FleetRequest<FleetGrant>, kind: DigestKind, digest: string): Target | Promise<Target> {
			const { grant, token } = of;
			const { current } = grant;
			if (current.kind === 'failure') {
				return app.otherReleases.byDigest(of, kind, digest);
			}
			const target: Target = { repository: current.repository, version: current.version, token, fleet: grant };
			return app.otherReleases.byNote(of, digest)?.then((noted) => noted ?? target) ?? target;
		}

		/** What refers to a digest is where that is; of one that is nowhere, the registry says that there is nothing. */
		async function targetOfSubject(of: FleetRequest, digest: string): Promise<Target | BlockTarget> {
			if (!isInBlock(of)) {
				const inFleet = of as FleetRequest<FleetGrant>;
				return (await app.otherReleases.bySubject(inFleet, digest)) ?? targetAt(inFleet.grant.current, of.token);
			}
			try {
				return await app.blocks.find(of, 'manifests', digest);
			} catch (error) {
				if (error instanceof RegistryError && error.code === 'MANIFEST_UNKNOWN') {
					return { ...of.grant.images[0]!, token: of.token };
				}
				throw error;
			}
		}
	},
	{ name: 'target', dependencies: ['client-tokens', 'challenge', 'resolver', 'other-releases', 'blocks'] },
);

function isInBlock(of: FleetRequest): of is FleetRequest<BlockGrant> {
	return of.grant.kind === 'block';
}

function targetAt(grant: ImageGrant | FailureGrant, token: KnownToken): Target {
	if (grant.kind === 'failure') {
		throw new RegistryError(grant.code, grant.message, { forPeople: true });
	}
	return { repository: grant.repository, version: grant.version, token };
}
