import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { RegistryError } from '../../src/errors.ts';
import { ANONYMOUS, type Caller, type Client } from '../../src/balena/caller.ts';
import { parseReference, parseReleaseText } from '../../src/balena/reference.ts';
import type { Manifest } from '../../src/registry/manifest.ts';
import type { ContentRequest } from '../../src/registry/request.ts';
import { fixedGrant, type Grant } from '../../src/token/grant.ts';
import { clientOf } from '../service/client-of.ts';
import type { KnownToken } from '../tokens/client-tokens.ts';

/** Where the thing that a request asks for is, and what the upstream registry is shown to get it. */
export interface Target {
	repository: string;
	version: string;
	token: KnownToken;
	/** To be told of a manifest that is served from here; only where that helps later requests. */
	onManifest?: (manifest: Manifest) => void;
}

declare module 'fastify' {
	interface FastifyInstance {
		/** @throws RegistryError with the sentence that explains why there is nothing, or a challenge where the token does not cover the name */
		targetOf(parsed: ContentRequest, token: KnownToken, request: FastifyRequest, reply: FastifyReply): Promise<Target>;
	}
}

/** From a friendly name to a repository, by what the client's token says. No state is needed for that, so any replica can do it. */
export default fp(
	async (app: FastifyInstance) => {
		app.decorate('targetOf', async (parsed, token, request, reply) => {
			const grant = token.grants.get(parsed.name) ?? (await grantWithout(parsed.name, token, clientOf(request, reply)));
			switch (grant?.kind) {
				case 'image':
					return { repository: grant.repository, version: grant.version, token };
				case 'fleet':
					return targetInFleet(parsed, token, request, reply);
				case 'failure':
					throw new RegistryError(grant.code, grant.message, { forPeople: true });
				case undefined:
					throw await request.unauthorized(parsed.name, 'insufficient_scope');
			}
		});

		/** For a name that the token does not mention. A token that mentions none at all is the API's own, and perhaps for this name. */
		async function grantWithout(name: string, token: KnownToken, client: Client): Promise<Grant | undefined> {
			const reference = parseReference(name);
			if (reference.kind !== 'fleet') {
				return fixedGrant(reference);
			}
			return token.grants.size === 0 ? app.resolver.resolve(reference, { ...ANONYMOUS, client }) : undefined;
		}

		/** A bare fleet whose tags name releases: docs/tags.md. The token's holder is acted for, because the tag was not known when it came with credentials. */
		async function targetInFleet(parsed: ContentRequest, token: KnownToken, request: FastifyRequest, reply: FastifyReply): Promise<Target> {
			const slug = parsed.name;
			const holder = app.sealedCredentials.callerOf(token, slug);
			if (holder === undefined) {
				throw await request.unauthorized(slug, 'invalid_token');
			}
			const caller: Caller = { ...holder, client: clientOf(request, reply) };
			const { repository, version } = await findInFleet(parsed, slug, caller);
			try {
				const upstream = await app.upstreamTokens.get([repository], caller, { keep: true });
				return {
					repository,
					version,
					token: app.clientTokens.read(`Bearer ${upstream.text}`)!,
					onManifest: (manifest) => app.digestSearch.note(slug, repository, manifest, caller),
				};
			} catch (error) {
				// The sealed credentials were valid when the token was issued and are not any more.
				throw error instanceof RegistryError && error.code === 'UNAUTHORIZED' ? await request.unauthorized(slug, 'invalid_token') : error;
			}
		}

		async function findInFleet(parsed: ContentRequest, slug: string, caller: Caller): Promise<{ repository: string; version: string }> {
			if (parsed.kind === 'tags') {
				return resolveTag(slug, 'latest', caller);
			}
			if (parsed.kind === 'manifest' && parsed.reference.kind === 'tag') {
				return resolveTag(slug, parsed.reference.text, caller);
			}
			const digest = digestOf(parsed);
			const repository = await app.digestSearch.find(slug, parsed.kind === 'blob' ? 'blobs' : 'manifests', digest, caller);
			if (repository === undefined && parsed.kind === 'referrers') {
				// Nothing refers to what is not there: a list, and an empty one, if the registry has lists of referrers at all.
				return resolveTag(slug, 'latest', caller);
			}
			if (repository === undefined) {
				throw new RegistryError(parsed.kind === 'blob' ? 'BLOB_UNKNOWN' : 'MANIFEST_UNKNOWN', `no release of ${slug} has ${digest}`);
			}
			return { repository, version: '' };
		}

		async function resolveTag(slug: string, tag: string, caller: Caller): Promise<{ repository: string; version: string }> {
			const release = parseReleaseText(tag);
			const resolution = await app.resolver.resolve({ slug, release, service: undefined }, caller);
			if (resolution.kind === 'failure') {
				throw new RegistryError(release === undefined ? resolution.code : 'MANIFEST_UNKNOWN', resolution.message, { forPeople: true });
			}
			return resolution;
		}
	},
	{ name: 'target', dependencies: ['sealed-credentials', 'client-tokens', 'challenge', 'digest-search', 'resolver', 'upstream-tokens'] },
);

/** The digest that a request is about; a fallback tag is derived from one (`sha256-<hex>`). */
function digestOf(parsed: Exclude<ContentRequest, { kind: 'tags' }>): string {
	if (parsed.kind !== 'manifest') {
		return parsed.digest;
	}
	const { kind, text } = parsed.reference;
	return kind === 'fallback-tag' ? text.replace('-', ':').replace(/\..*$/, '') : text;
}
