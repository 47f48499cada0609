import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { RegistryError } from '../src/errors.ts';
import { ANONYMOUS } from '../src/balena/caller.ts';
import { parseReference } from '../src/balena/reference.ts';
import type { Config } from '../src/config.ts';
import { parseRegistryRequest, type ManifestReference, type RegistryRequest } from '../src/registry/request.ts';
import { pullScope } from '../src/registry/scope.ts';
import { parseToken, type ClientToken, type Grant } from '../src/registry/token.ts';
import { sendJson } from './json.ts';

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
		const token = await readToken(request, name);
		if (target.kind === 'ping') {
			return reply.forward({ kind: 'ping', name: undefined, item: '', path: '/v2/', token: token.upstream });
		}
		if (target.kind === 'catalog') {
			return sendJson(reply, { repositories: [] });
		}
		const repository = await findRepository(target.name, token, request);
		return reply.forward({ name: target.name, token: token.upstream, ...upstreamTarget(target, repository) });
	}

	/** @throws UNAUTHORIZED with a challenge where there is no usable token */
	async function readToken(request: FastifyRequest, name: string | undefined): Promise<ClientToken> {
		const bearer = /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
		const token = bearer === undefined ? undefined : parseToken(bearer);
		if (token === undefined) {
			throw await unauthorized(request, name, bearer === undefined ? undefined : 'invalid_token');
		}
		return token;
	}

	async function findRepository(name: string, token: ClientToken, request: FastifyRequest): Promise<string> {
		const grant = token.grants.get(name) ?? (await grantWithout(name, token));
		switch (grant?.kind) {
			case 'image':
				return grant.repository;
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
function upstreamTarget(target: Exclude<RegistryRequest, { kind: 'ping' | 'catalog' }>, repository: string): { kind: string; item: string; path: string; query?: Record<string, string> } {
	switch (target.kind) {
		case 'manifest': {
			const item = upstreamReference(target.reference, target.name === repository);
			return { kind: 'manifest', item, path: `/v2/${repository}/manifests/${item}` };
		}
		case 'blob':
			return { kind: 'blob', item: target.digest, path: `/v2/${repository}/blobs/${target.digest}` };
		case 'referrers':
			return {
				kind: 'referrers',
				item: target.digest,
				path: `/v2/${repository}/referrers/${target.digest}`,
				query: target.artifactType === undefined ? undefined : { artifactType: target.artifactType },
			};
		case 'tags':
			return { kind: 'tags', item: 'tags', path: `/v2/${repository}/tags/list` };
	}
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
