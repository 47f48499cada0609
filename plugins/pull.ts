import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { RegistryError } from '../src/errors.ts';
import { isBareFleet, parseReference } from '../src/balena/reference.ts';
import type { Config } from '../src/config.ts';
import { pageOf } from '../src/registry/page.ts';
import { parseRegistryRequest, type ManifestReference } from '../src/registry/request.ts';
import type { KnownToken } from './bearer.ts';
import { sendJson } from './json.ts';
import type { Place, Target } from './locate.ts';
import type { Forwarding } from './registry.ts';

/** The registry's pull API, `/v2/`: parse, read the token, find the repository, answer. */
export default async function pull(app: FastifyInstance, _config: Config): Promise<void> {
	app.addHook('onRequest', (_request, reply, done) => {
		reply.header('docker-distribution-api-version', 'registry/2.0');
		done();
	});

	app.route({ method: ['GET', 'HEAD'], url: '/v2', handler });
	app.route({ method: ['GET', 'HEAD'], url: '/v2/*', handler });
	app.route({ method: ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'], url: '/v2/*', onRequest: refuseToWrite, handler: refuseToWrite });

	async function handler(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
		const target = parseRegistryRequest(request.raw.url ?? '');
		request.facts = { kind: target.kind, name: 'name' in target ? target.name : undefined };
		const token = await readToken(request, request.facts.name);
		if (target.kind === 'ping') {
			return sendPing(token, request, reply);
		}
		if (target.kind === 'catalog') {
			return sendJson(reply, { repositories: [] });
		}
		const versions = target.kind === 'tags' ? await fleetVersions(target.name, token) : undefined;
		if (target.kind === 'tags' && versions !== undefined) {
			return sendTags(target, versions, reply);
		}
		const place = await app.locate(target, token, request);
		request.facts.version = place.version === '' ? undefined : place.version;
		request.facts.repository = place.repository;
		switch (target.kind) {
			case 'manifest':
				return app.manifests.send(forwarding(target, place, 'manifests', upstreamReference(target.reference, target.name === place.repository)), place, request, reply);
			case 'blob':
				return app.blobs.send(forwarding(target, place, 'blobs', target.digest), place, request, reply);
			case 'referrers':
				return reply.forward({ ...forwarding(target, place, 'referrers', target.digest), query: target.artifactType === undefined ? undefined : { artifactType: target.artifactType } });
			case 'tags':
				return sendTags(target, await app.registry.tags(forwarding(target, place, 'tags', 'list'), request), reply);
		}
	}

	/** @throws UNAUTHORIZED with a challenge where there is no usable token */
	async function readToken(request: FastifyRequest, name: string | undefined): Promise<KnownToken> {
		const { authorization = '' } = request.headers;
		const token = app.bearer.read(authorization);
		if (token === undefined) {
			throw await request.unauthorized(name, /^bearer /i.test(authorization) ? 'invalid_token' : undefined);
		}
		return token;
	}

	/** Whether a token is valid, only the upstream registry can say. */
	function sendPing(token: KnownToken, request: FastifyRequest, reply: FastifyReply): FastifyReply {
		if (token.isAccepted('')) {
			request.facts.cache = 'hit';
			return sendJson(reply, {});
		}
		return reply.forward({ kind: 'ping', name: undefined, item: '', path: '/v2/', token: token.upstream, onAnswer: () => token.accept('') });
	}

	/** The versions of a bare fleet, as far as the token's holder may see them. Undefined for anything else: of a release, the registry itself says which tags there are. */
	async function fleetVersions(name: string, token: KnownToken): Promise<string[] | undefined> {
		const caller = isBareFleet(parseReference(name)) ? app.acting.callerOf(token, name) : undefined;
		return caller && app.resolver.versions(name, caller);
	}

	function sendTags({ name, page }: Extract<Target, { kind: 'tags' }>, all: string[], reply: FastifyReply): FastifyReply {
		const { tags, link } = pageOf(all, page, `/v2/${name}/tags/list`);
		if (link !== undefined) {
			reply.header('link', link);
		}
		return sendJson(reply, { name, tags });
	}
}

/** Where a request leads at the upstream registry. Every part has been checked against its grammar when it was parsed. */
function forwarding({ kind, name }: Target, { repository, token, onManifest }: Place, endpoint: 'manifests' | 'blobs' | 'referrers' | 'tags', item: string): Forwarding {
	return { kind, name, item, path: `/v2/${repository}/${endpoint}/${item}`, token: token.upstream, onManifest };
}

/** The tag of a friendly name has done its work: a release's repository has no tag but `latest`. Digests, and tags that stand for digests, go through unchanged. */
function upstreamReference(reference: ManifestReference, isUpstreamName: boolean): string {
	return reference.kind === 'tag' && !isUpstreamName ? 'latest' : reference.text;
}

async function refuseToWrite(_request: FastifyRequest, reply: FastifyReply): Promise<never> {
	// What the client sends is not read, so the connection cannot be used again.
	reply.header('connection', 'close');
	throw new RegistryError('UNSUPPORTED', 'images can only be pulled through this proxy; push with the balena CLI', { headers: { allow: 'GET, HEAD' } });
}
