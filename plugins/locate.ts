import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { RegistryError } from '../src/errors.ts';
import { ANONYMOUS, type Caller } from '../src/balena/caller.ts';
import { fixedGrant, isTracked, parseReference, parseRelease } from '../src/balena/reference.ts';
import type { Config } from '../src/config.ts';
import type { Manifest } from '../src/registry/manifest.ts';
import type { RegistryRequest } from '../src/registry/request.ts';
import type { Grant } from '../src/registry/token.ts';
import type { KnownToken } from './bearer.ts';

/** A request for something in a repository. */
export type Target = Exclude<RegistryRequest, { kind: 'ping' | 'catalog' }>;

/** Where the thing that a request asks for is, and what the upstream registry is shown to get it. */
export interface Place {
	repository: string;
	version: string;
	token: KnownToken;
	/** To be told of a manifest that is served from here; only where that helps later requests. */
	onManifest?: (manifest: Manifest) => void;
}

declare module 'fastify' {
	interface FastifyInstance {
		/** @throws RegistryError with the sentence that explains why there is nothing, or a challenge where the token does not cover the name */
		locate(target: Target, token: KnownToken, request: FastifyRequest): Promise<Place>;
	}
}

/** From a friendly name to a repository, by what the client's token says. No state is needed for that, so any replica can do it. */
export default fp(
	async (app: FastifyInstance, _config: Config) => {
		app.decorate('locate', async (target, token, request) => {
			const grant = token.grants.get(target.name) ?? (await grantWithout(target.name, token));
			switch (grant?.kind) {
				case 'image':
					return { repository: grant.repository, version: grant.version, token };
				case 'fleet':
					return locateInFleet(target, token, request);
				case 'failure':
					throw new RegistryError(grant.code, grant.message, { forPeople: true });
				case undefined:
					throw await request.unauthorized(target.name, 'insufficient_scope');
			}
		});

		/** For a name that the token does not mention. A token that mentions none at all is the API's own, and perhaps for this name. */
		async function grantWithout(name: string, token: KnownToken): Promise<Grant | undefined> {
			const reference = parseReference(name);
			if (reference.kind !== 'fleet') {
				return fixedGrant(reference);
			}
			return token.grants.size === 0 ? app.resolver.resolve(reference, ANONYMOUS) : undefined;
		}

		/** A bare fleet whose tags name releases: docs/tags.md. The token's holder is acted for, because the tag was not known when it came with credentials. */
		async function locateInFleet(target: Target, token: KnownToken, request: FastifyRequest): Promise<Place> {
			const slug = target.name;
			const caller = app.acting.callerOf(token, slug);
			if (caller === undefined) {
				throw await request.unauthorized(slug, 'invalid_token');
			}
			const { repository, version } = await findInFleet(target, slug, caller);
			try {
				const upstream = await app.tokens.get([repository], caller, { keep: true });
				return {
					repository,
					version,
					token: app.bearer.read(`Bearer ${upstream.text}`)!,
					onManifest: (manifest) => app.fleetContent.note(slug, repository, manifest, caller),
				};
			} catch (error) {
				// The sealed credentials were valid when the token was issued and are not any more.
				throw error instanceof RegistryError && error.code === 'UNAUTHORIZED' ? await request.unauthorized(slug, 'invalid_token') : error;
			}
		}

		async function findInFleet(target: Target, slug: string, caller: Caller): Promise<{ repository: string; version: string }> {
			if (target.kind === 'tags') {
				return resolveTag(slug, 'latest', caller);
			}
			if (target.kind === 'manifest' && target.reference.kind === 'tag') {
				return resolveTag(slug, target.reference.text, caller);
			}
			const digest = digestOf(target);
			const repository = await app.fleetContent.find(slug, target.kind === 'blob' ? 'blobs' : 'manifests', digest, caller);
			if (repository === undefined && target.kind === 'referrers') {
				// Nothing refers to what is not there: a list, and an empty one, if the registry has lists of referrers at all.
				return resolveTag(slug, 'latest', caller);
			}
			if (repository === undefined) {
				throw new RegistryError(target.kind === 'blob' ? 'BLOB_UNKNOWN' : 'MANIFEST_UNKNOWN', `no release of ${slug} has ${digest}`);
			}
			return { repository, version: '' };
		}

		async function resolveTag(slug: string, tag: string, caller: Caller): Promise<{ repository: string; version: string }> {
			const release = isTracked(tag) ? undefined : parseRelease(tag);
			const resolution = await app.resolver.resolve({ slug, release, service: undefined }, caller);
			if (resolution.kind === 'failure') {
				throw new RegistryError(release === undefined ? resolution.code : 'MANIFEST_UNKNOWN', resolution.message, { forPeople: true });
			}
			return resolution;
		}
	},
	{ name: 'locate', dependencies: ['acting', 'bearer', 'challenge', 'fleet-content', 'resolver', 'tokens'] },
);

/** The digest that a request is about; a fallback tag is derived from one (`sha256-<hex>`). */
function digestOf(target: Exclude<Target, { kind: 'tags' }>): string {
	if (target.kind !== 'manifest') {
		return target.digest;
	}
	const { kind, text } = target.reference;
	return kind === 'fallback-tag' ? text.replace('-', ':').replace(/\..*$/, '') : text;
}
