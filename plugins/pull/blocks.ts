import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { lruCache } from '../../src/lru.ts';
import type { BlockImage } from '../../src/balena/block.ts';
import { RegistryError } from '../../src/errors.ts';
import { formatError } from '../../src/registry/formats.ts';
import { DigestNotes } from '../../src/registry/digest-notes.ts';
import { digestsIn, type Manifest } from '../../src/registry/manifest.ts';
import { INDEX_TYPES, indexMediaType, makeIndex } from '../../src/registry/platform-index.ts';
import type { ContentRequest } from '../../src/registry/request.ts';
import { fleetsOf, type BlockGrant } from '../../src/token/grant.ts';
import { clientOf } from '../service/client-of.ts';
import type { KnownToken } from '../service/client-tokens.ts';
import { sendJson } from '../service/send-json.ts';
import type { LoadedChildren } from './block-children.ts';
import type { DigestKind } from './digest-search.ts';
import { indexWithDigest } from './index-search.ts';
import type { FleetRequest } from './other-releases.ts';
import type { Target } from './target.ts';

/** A block's images, of which an index is made. */
export interface BlockTarget {
	slug: string;
	images: readonly BlockImage[];
	/** What the registry is shown for them. */
	token: KnownToken;
	/** The client's own, which may be for the images of another release. */
	holder: KnownToken;
	/** To be told of each image's manifest; only where that helps later requests. */
	onChild?: (repository: string, manifest: Manifest) => void;
	/** Where they have been loaded already. */
	children?: LoadedChildren;
	/** What the client is told beside the answer. */
	warning?: string;
}

declare module 'fastify' {
	interface FastifyInstance {
		blocks: {
			/**
			 * @returns where a digest behind a block's name is: among its images, or it is their index; undefined where that has
			 * to be found out
			 */
			known(of: FleetRequest<BlockGrant>, digest: string): Target | undefined;
			/**
			 * @returns the same, whatever it takes.
			 * @throws RegistryError *_UNKNOWN where it is nowhere, or what kept it from being found out
			 */
			find(of: FleetRequest<BlockGrant>, kind: DigestKind, digest: string): Promise<Target | BlockTarget>;
			/** Answers a request for a block's index, or for what refers to it, which is nothing. */
			send(parsed: ContentRequest, target: BlockTarget, request: FastifyRequest, reply: FastifyReply): Promise<void>;
		};
	}
}

/** From where the parts of images were served, by token: it only spares looking for it again. */
const MAX_NOTES = 100_000;
/**
 * Of what indexes of other releases were made, likewise, of some 1 KB each. Between a client's HEAD of a tag and its GET of the
 * digest nobody can have so many others made.
 */
const MAX_INDEXES = 10_000;
const NOTED_MS = 10 * 60_000;

/**
 * Names that stand for images of several fleets: docs/architectures.md. The index is made for each request, of manifests that are
 * remembered as any are.
 */
export default fp(
	async (app: FastifyInstance) => {
		const notes = new DigestNotes({ max: MAX_NOTES, lifeMs: NOTED_MS });
		const indexes = lruCache<readonly BlockImage[]>(MAX_INDEXES, { ttl: NOTED_MS });
		const indexKey = (holder: KnownToken, slug: string, digest: string): string => [holder.fingerprint, slug, digest].join(' ');

		function targetAt({ repository, version }: BlockImage, { grant, token }: FleetRequest<BlockGrant>): Target {
			return { repository, version, token, onManifest: (manifest) => note(grant.slug, repository, manifest, token) };
		}

		function note(slug: string, repository: string, manifest: Manifest, token: KnownToken): void {
			notes.add(slug, repository, manifest.digest, () => digestsIn(manifest), token.fingerprint);
		}

		function known(of: FleetRequest<BlockGrant>, digest: string): Target | undefined {
			const { slug, images } = of.grant;
			const noted = notes.find(slug, digest, of.token.fingerprint);
			const image = images.find((one) => one.digest === digest) ?? images.find(({ repository }) => repository === noted);
			return image && targetAt(image, of);
		}

		/**
		 * @returns the index of another release, which the holder got by its tag.
		 * @throws what kept it from being made again
		 */
		async function ofOtherRelease(of: FleetRequest<BlockGrant>, digest: string): Promise<BlockTarget | undefined> {
			const { grant, token, request, reply } = of;
			const images = indexes.get(indexKey(token, grant.slug, digest));
			if (images === undefined || images === grant.images) {
				return undefined;
			}
			const target = await app.otherReleases.ofBlock(of, images);
			const children = await app.blockChildren.loadAll(target, request, reply);
			return indexWithDigest(children, digest) && { ...target, children };
		}

		async function find(of: FleetRequest<BlockGrant>, kind: DigestKind, digest: string): Promise<Target | BlockTarget> {
			const { grant, token, request, reply } = of;
			const before =
				known(of, digest) ??
				(grant.canMove ? await app.otherReleases.byNote(of, digest) : undefined) ??
				(grant.canMove && kind === 'manifests' ? await ofOtherRelease(of, digest) : undefined);
			if (before !== undefined) {
				return before;
			}
			const { slug, images } = grant;
			const own: BlockTarget = { slug, images, token, holder: token };
			const children = await app.blockChildren.load(own, request, reply);
			for (const { image, manifest } of children.loaded) {
				note(slug, image.repository, manifest, token);
			}
			// Not by the notes: of a digest that many have, such as a common layer, there are only the newest.
			const loaded = children.loaded.find(({ manifest }) => digestsIn(manifest).includes(digest));
			if (loaded !== undefined) {
				return targetAt(loaded.image, of);
			}
			if (kind === 'manifests' && indexWithDigest(children, digest) !== undefined) {
				return { ...own, children };
			}
			if (children.loaded.length === 0 || (kind === 'manifests' && children.failure !== undefined)) {
				throw await app.blockChildren.refusal(children, request);
			}
			const repositories = images.map(({ repository }) => repository);
			const found = await app.digestSearch.among(repositories, kind, digest, token, clientOf(request, reply));
			const image = images.find(({ repository }) => repository === found);
			if (image === undefined) {
				return ofOtherReleases(of, kind, digest);
			}
			notes.add(slug, image.repository, digest, () => [], token.fingerprint);
			return targetAt(image, of);
		}

		/** @throws RegistryError *_UNKNOWN where it is in none, likewise */
		async function ofOtherReleases(of: FleetRequest<BlockGrant>, kind: DigestKind, digest: string): Promise<Target | BlockTarget> {
			try {
				return await app.otherReleases.byDigest(of, kind, digest);
			} catch (error) {
				const mayBeIndex = of.grant.canMove && error instanceof RegistryError && error.code === 'MANIFEST_UNKNOWN';
				const index = mayBeIndex ? await app.indexSearch.find(of, digest) : undefined;
				if (index === undefined) {
					throw error;
				}
				return index;
			}
		}

		async function sendIndex(
			reference: string,
			target: BlockTarget,
			children: LoadedChildren,
			request: FastifyRequest,
			reply: FastifyReply,
		): Promise<void> {
			const { slug, holder, onChild } = target;
			const { loaded } = children;
			const { accept } = request.headers;
			const name = request.facts.name ?? slug;
			const asked = indexWithDigest(children, reference);
			const mediaType = asked?.mediaType ?? indexMediaType(accept);
			if (mediaType === undefined) {
				throw new RegistryError(
					'MANIFEST_UNKNOWN',
					`${name} is an index, which this client does not take, of ${fleetsOf({ ...target, kind: 'block', isBare: true, canMove: false }).join(', ')}; pull one of these`,
					{ forPeople: true },
				);
			}
			const refused = asked && formatError(name, asked.mediaType, indexMediaType(accept) === undefined ? accept : asked.mediaType);
			if (refused !== undefined) {
				throw refused;
			}
			const index = asked ?? makeIndex(loaded, mediaType);
			if (target.token !== holder) {
				// Only what the token itself does not lead to: its map can have any names and images, without end.
				indexes.set(indexKey(holder, slug, index.digest), target.images);
			}
			for (const { image, manifest } of loaded) {
				(onChild ?? noteFor(target))(image.repository, manifest);
			}
			app.manifests.sendMade(index, request, reply);
		}

		function noteFor({ slug, token }: BlockTarget): (repository: string, manifest: Manifest) => void {
			return (repository, manifest) => note(slug, repository, manifest, token);
		}

		app.decorate('blocks', {
			known,
			find,
			send: async (parsed, target, request, reply) => {
				const children = target.children ?? (await app.blockChildren.load(target, request, reply));
				if (children.failure !== undefined || children.loaded.length === 0) {
					throw await app.blockChildren.refusal(children, request);
				}
				if (parsed.kind === 'tags') {
					sendJson(reply, { name: parsed.name, tags: ['latest'] });
					return;
				}
				if (parsed.kind === 'referrers') {
					sendNoReferrers(parsed.query, reply);
					return;
				}
				const { kind, text } = parsed.kind === 'manifest' ? parsed.reference : { kind: 'digest', text: parsed.digest };
				if (kind === 'fallback-tag') {
					throw new RegistryError('MANIFEST_UNKNOWN', `nothing refers to the index of ${parsed.name}`);
				}
				await sendIndex(text, target, children, request, reply);
			},
		});
	},
	{
		name: 'blocks',
		dependencies: ['request-log', 'block-children', 'digest-search', 'index-search', 'manifests', 'other-releases'],
	},
);

/** What refers to an index that is made here: nothing, because nobody can push. OCI distribution-spec, "Listing Referrers". */
function sendNoReferrers(query: string | undefined, reply: FastifyReply): void {
	if (query?.includes('artifactType=') === true) {
		reply.header('oci-filters-applied', 'artifactType');
	}
	const [mediaType] = INDEX_TYPES;
	reply.header('content-type', mediaType).send(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [] })));
}
