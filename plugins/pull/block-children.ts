import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { IncomingHttpHeaders } from 'node:http';
import { ARCHITECTURES } from '../../src/balena/architectures.ts';
import type { BlockImage } from '../../src/balena/block.ts';
import { overloadedError, RegistryError, upstreamError } from '../../src/errors.ts';
import type { Child } from '../../src/registry/platform-index.ts';
import type { KnownToken } from '../service/client-tokens.ts';
import type { Fetched } from './manifests.ts';

type Asked = ReturnType<typeof requestFor>;

/** What became of a block's images, each asked for with the same token. */
export interface LoadedChildren {
	/** In their order: what the registry gave for this token. */
	loaded: (Child & { image: BlockImage })[];
	/** What it refused, or does not have: 401, 403 and 404. */
	refused: { asked: Asked; status: number; headers: IncomingHttpHeaders; body: Buffer }[];
	/** Why nobody knows what the others are; half an index would look like a whole one. */
	failure: Error | undefined;
}

declare module 'fastify' {
	interface FastifyInstance {
		blockChildren: {
			/** Loads the manifests of a block's images side by side, from memory or the registry. Throws nothing. */
			load(of: { images: readonly BlockImage[]; token: KnownToken }, request: FastifyRequest, reply: FastifyReply): Promise<LoadedChildren>;
			/** The same where half of them tell nothing of the whole. @throws what kept any of them from being loaded */
			loadAll(
				of: { images: readonly BlockImage[]; token: KnownToken },
				request: FastifyRequest,
				reply: FastifyReply,
			): Promise<LoadedChildren>;
			/** @returns the error for children that are not all there, or none of them */
			refusal(children: LoadedChildren, request: FastifyRequest): Promise<Error>;
		};
	}
}

/** What is left out of an index, the most telling first. */
const LEFT_OUT = [401, 403, 404];
const PLATFORMS = new Map(ARCHITECTURES.map(({ name, platform }) => [name, platform]));

/** The manifests of which a block's index is made. */
export default fp(
	async (app: FastifyInstance) => {
		app.decorate('blockChildren', {
			load: async ({ images, token }, request, reply) => {
				request.facts.cache = 'hit';
				const outcomes = await Promise.allSettled(
					images.map(async ({ repository, version }) =>
						app.manifests.load(requestFor(repository, token, request), { repository, version, token }, request, reply),
					),
				);
				const children: LoadedChildren = { loaded: [], refused: [], failure: undefined };
				for (const [i, outcome] of outcomes.entries()) {
					const image = images[i]!;
					if (outcome.status === 'rejected') {
						children.failure ??= outcome.reason as Error;
					} else if (outcome.value.kind === 'manifest' && outcome.value.isVerified) {
						children.loaded.push({ image, platform: PLATFORMS.get(image.architecture)!, manifest: outcome.value.manifest });
					} else if (outcome.value.kind === 'refused' && LEFT_OUT.includes(outcome.value.status)) {
						children.refused.push({ ...outcome.value, asked: requestFor(image.repository, token, request) });
					} else {
						children.failure ??= await failureOf(outcome.value, requestFor(image.repository, token, request), request);
					}
				}
				return children;
			},
			loadAll: async (of, request, reply) => {
				const children = await app.blockChildren.load(of, request, reply);
				if (children.failure !== undefined) {
					throw children.failure;
				}
				return children;
			},
			refusal: async ({ refused, failure }, request) => {
				const [first] = [...refused].sort((a, b) => LEFT_OUT.indexOf(a.status) - LEFT_OUT.indexOf(b.status));
				return failure ?? (await request.refusal(first!.asked, first!.status, first!.headers, first!.body));
			},
		});
	},
	{ name: 'block-children', dependencies: ['request-log', 'refusal', 'manifests'] },
);

function requestFor(repository: string, token: KnownToken, { facts }: FastifyRequest) {
	return { kind: 'manifest', name: facts.name, item: 'latest', path: `/v2/${repository}/manifests/latest`, token: token.upstream };
}

async function failureOf(fetched: Fetched, asked: Asked, request: FastifyRequest): Promise<Error> {
	switch (fetched.kind) {
		case 'refused':
			return request.refusal(asked, fetched.status, fetched.headers, fetched.body);
		case 'full':
			return overloadedError('registry');
		case 'large':
			// Its maker's doing, and no fault of anybody's here. One request would load up to five of them, and read them all.
			return new RegistryError('MANIFEST_INVALID', `an image of ${asked.name ?? 'a block'} has a manifest that is too large for an index`, {
				forPeople: true,
			});
		default:
			return upstreamError('registry', new Error('the manifest of an image of a block cannot be used'));
	}
}
