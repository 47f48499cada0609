import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { RegistryError } from '../src/errors.ts';
import { ANONYMOUS } from '../src/balena/caller.ts';
import { parseReference } from '../src/balena/reference.ts';
import type { Config } from '../src/config.ts';
import { pageOf } from '../src/registry/page.ts';
import { parseRegistryRequest, type ManifestReference, type RegistryRequest } from '../src/registry/request.ts';
import { pullScope } from '../src/registry/scope.ts';
import type { ClientToken, Grant } from '../src/registry/token.ts';
import type { KnownToken } from './bearer.ts';
import { sendJson } from './json.ts';
import type { Forwarding } from './registry.ts';
import type { Facts } from './request-log.ts';

type Tags = Extract<RegistryRequest, { kind: 'tags' }>;

/** The registry's pull API, `/v2/`: parse, read the token, find the repository, forward. */
export default async function pull(app: FastifyInstance, _config: Config): Promise<void> {
	app.addHook('onSend', async (_request, reply) => {
		reply.header('docker-distribution-api-version', 'registry/2.0');
	});

	app.route({ method: ['GET', 'HEAD'], url: '/v2', handler });
	app.route({ method: ['GET', 'HEAD'], url: '/v2/*', handler });
	app.route({ method: ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'], url: '/v2/*', onRequest: refuseToWrite, handler: refuseToWrite });

	async function handler(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
		const target = parseRegistryRequest(request.raw.url ?? '');
		const name = 'name' in target ? target.name : undefined;
		request.facts = { kind: target.kind, name };
		const token = await readToken(request, name);
		if (target.kind === 'ping') {
			return sendPing(token, request, reply);
		}
		if (target.kind === 'catalog') {
			return sendJson(reply, { repositories: [] });
		}
		const image = await findImage(target.name, token, request);
		request.facts.version = image.version;
		request.facts.repository = image.repository;
		switch (target.kind) {
			case 'manifest': {
				const item = upstreamReference(target.reference, target.name === image.repository);
				return app.manifests.send(forwarding(target, item, `/v2/${image.repository}/manifests/${item}`, token), image.repository, token, request, reply);
			}
			case 'blob':
				return app.blobs.send(forwarding(target, target.digest, `/v2/${image.repository}/blobs/${target.digest}`, token), image.repository, token, request, reply);
			case 'referrers':
				return reply.forward({
					...forwarding(target, target.digest, `/v2/${image.repository}/referrers/${target.digest}`, token),
					query: target.artifactType === undefined ? undefined : { artifactType: target.artifactType },
				});
			case 'tags':
				return sendTags(target, image.repository, token, request, reply);
		}
	}

	/** Whether a token is valid, only the upstream registry can say. */
	function sendPing(token: KnownToken, request: FastifyRequest, reply: FastifyReply): FastifyReply {
		if (token.isAccepted('')) {
			request.facts.cache = 'hit';
			return sendJson(reply, {});
		}
		return reply.forward({ kind: 'ping', name: undefined, item: '', path: '/v2/', token: token.upstream, onAnswer: () => token.accept('') });
	}

	/** A fleet's versions, as far as everybody may see them; of a release, the one tag that its repository has. */
	async function sendTags(target: Tags, repository: string, token: KnownToken, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
		const reference = parseReference(target.name);
		const isFleet = reference.kind === 'fleet' && target.name === reference.slug;
		const versions = isFleet ? await app.resolver.versions(reference.slug, ANONYMOUS) : undefined;
		const tags = versions ?? (await app.registry.tags(forwarding(target, 'tags', `/v2/${repository}/tags/list`, token), request));
		const page = pageOf(tags, target.page, `/v2/${target.name}/tags/list`);
		return sendJson(page.link === undefined ? reply : reply.header('link', page.link), { name: target.name, tags: page.tags });
	}

	/** @throws UNAUTHORIZED with a challenge where there is no usable token */
	async function readToken(request: FastifyRequest, name: string | undefined): Promise<KnownToken> {
		const { authorization } = request.headers;
		const token = authorization === undefined ? undefined : app.bearer.read(authorization);
		if (token === undefined) {
			const isBearer = authorization !== undefined && /^bearer /i.test(authorization);
			throw await unauthorized(request, name, isBearer ? 'invalid_token' : undefined);
		}
		return token;
	}

	async function findImage(name: string, token: ClientToken, request: FastifyRequest): Promise<{ repository: string; version: string }> {
		const grant = token.grants.get(name) ?? (await grantWithout(name, token));
		switch (grant?.kind) {
			case 'image':
				return grant;
			case 'failure':
				throw new RegistryError(grant.code, grant.message, { forPeople: true });
			default:
				throw await unauthorized(request, name, 'insufficient_scope');
		}
	}

	/** For a name that the token does not mention: the upstream's own names mean themselves, and a token that mentions none is the API's own, perhaps for this name. */
	async function grantWithout(name: string, token: ClientToken): Promise<Grant | undefined> {
		const reference = parseReference(name);
		switch (reference.kind) {
			case 'repository':
				return { kind: 'image', repository: reference.repository, version: '' };
			case 'invalid':
				return { kind: 'failure', code: 'NAME_INVALID', message: reference.message };
			case 'fleet':
				return token.grants.size === 0 ? app.resolver.resolve(reference, ANONYMOUS) : undefined;
		}
	}
}

async function unauthorized(request: FastifyRequest, name: string | undefined, error: string | undefined): Promise<RegistryError> {
	const challenge = await request.challenge({ scope: name === undefined ? undefined : pullScope(name), error });
	const message = error === undefined ? 'authentication required' : name === undefined ? 'the token is not valid' : `the token does not allow pulling ${name}`;
	return new RegistryError('UNAUTHORIZED', message, { headers: { 'www-authenticate': challenge } });
}

/** Where a request leads at the upstream registry. Every part has been checked against its grammar when it was parsed. */
function forwarding({ kind, name }: { kind: Facts['kind']; name: string }, item: string, path: string, token: ClientToken): Forwarding {
	return { kind, name, item, path, token: token.upstream };
}

/** The tag of a friendly name is ignored: a release's repository has no tag but `latest`. Digests, and tags that stand for digests, are not to be ignored. */
function upstreamReference(reference: ManifestReference, isUpstreamName: boolean): string {
	return reference.kind === 'tag' && !isUpstreamName ? 'latest' : reference.text;
}

async function refuseToWrite(_request: FastifyRequest, reply: FastifyReply): Promise<never> {
	// What the client sends is not read, so the connection cannot be used again.
	reply.header('connection', 'close');
	throw new RegistryError('UNSUPPORTED', 'images can only be pulled through this proxy; push with the balena CLI', { headers: { allow: 'GET, HEAD' } });
}
