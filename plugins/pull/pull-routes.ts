import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import { RegistryError } from '../../src/errors.ts';
import { tagPage } from '../../src/registry/tag-page.ts';
import { PRIVATE_HEADERS } from '../../src/registry/headers.ts';
import { provesAccess } from '../../src/registry/proof-of-access.ts';
import { parseRegistryRequest, type ContentRequest, type ManifestReference, type RegistryRequest } from '../../src/registry/request.ts';
import type { KnownToken } from '../service/client-tokens.ts';
import { answerLater } from '../service/answer-later.ts';
import { sendJson } from '../service/send-json.ts';
import type { FleetGrant } from '../../src/token/grant.ts';
import type { BlockTarget } from './blocks.ts';
import type { DigestKind } from './digest-search.ts';
import type { Target } from './target.ts';
import type { UpstreamRequest } from '../../src/registry/upstream-request.ts';

type TagsRequest = Extract<ContentRequest, { kind: 'tags' }>;

/** The registry's pull API, `/v2/`: parse, read the token, find the repository, answer. */
export default fp(pullRoutes, {
	name: 'pull-routes',
	encapsulate: true,
	dependencies: [
		'request-log',
		'errors',
		'rate-limit',
		'challenge',
		'repository-tags',
		'client-tokens',
		'other-releases',
		'ask-for',
		'forward',
		'target',
		'manifests',
		'blobs',
		'blocks',
	],
});

/** Distribution's "Token Scope Documentation": the one resource that is no repository. */
const CATALOG_SCOPE = 'registry:catalog:*';

async function pullRoutes(app: FastifyInstance, config: Config): Promise<void> {
	app.addHook('onRequest', (_request, reply, done) => {
		reply.headers(PRIVATE_HEADERS);
		done();
	});

	app.route({ method: ['GET', 'HEAD'], url: '/v2', handler });
	app.route({ method: ['GET', 'HEAD'], url: '/v2/*', handler });
	app.route({ method: ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'], url: '/v2/*', preParsing: refuseToWrite, handler: refuseToWrite });

	function handler(request: FastifyRequest, reply: FastifyReply): void {
		const parsed = parseRegistryRequest(request.raw.url ?? '');
		request.facts = { kind: parsed.kind, name: 'name' in parsed ? parsed.name : undefined };
		const token = request.knownToken ?? app.clientTokens.read(request.headers.authorization ?? '');
		answerLater(
			reply,
			token === undefined
				? refuse(request, request.facts.name, parsed.kind === 'catalog' ? CATALOG_SCOPE : undefined)
				: answerWith(token, parsed, request, reply),
		);
	}

	function answerWith(token: KnownToken, parsed: RegistryRequest, request: FastifyRequest, reply: FastifyReply): void | Promise<void> {
		switch (parsed.kind) {
			case 'ping':
				return sendPing(token, request, reply);
			case 'catalog':
				sendJson(reply, { repositories: [] });
				return undefined;
			case 'tags':
				return answerTags(token, parsed, request, reply);
			default: {
				const target = app.targetOf(parsed, token, request, reply);
				return target instanceof Promise
					? target.then((found) => answer(parsed, found, request, reply))
					: answer(parsed, target, request, reply);
			}
		}
	}

	async function answerTags(token: KnownToken, parsed: TagsRequest, request: FastifyRequest, reply: FastifyReply): Promise<void> {
		const versions = await app.versionsOf(parsed.name, token, request, reply);
		if (versions === undefined) {
			await answer(parsed, await app.targetOf(parsed, token, request, reply), request, reply);
		} else {
			sendTags(parsed, versions, reply);
		}
	}

	function answer(
		parsed: ContentRequest,
		target: Target | BlockTarget,
		request: FastifyRequest,
		reply: FastifyReply,
	): void | Promise<void> {
		if (target.warning !== undefined) {
			reply.header('warning', `299 - "${target.warning}"`);
		}
		if ('images' in target) {
			return app.blocks.send(parsed, target, request, reply);
		}
		request.facts.version = target.version === '' ? undefined : target.version;
		request.facts.repository = target.repository;
		switch (parsed.kind) {
			case 'manifest': {
				const reference = upstreamReference(parsed.reference, parsed.name === target.repository);
				const { fleet } = target;
				const onAbsent = fleet && (() => answerElsewhere(parsed, 'manifests', reference, fleet, target, request, reply));
				return app.manifests.send(upstreamRequest(parsed, target, 'manifests', reference, onAbsent), target, request, reply);
			}
			case 'blob': {
				const { fleet } = target;
				const onAbsent = fleet && (() => answerElsewhere(parsed, 'blobs', parsed.digest, fleet, target, request, reply));
				return app.blobs.send(upstreamRequest(parsed, target, 'blobs', parsed.digest, onAbsent), target, request, reply);
			}
			case 'referrers':
				return reply.forward({
					...upstreamRequest(parsed, target, 'referrers', parsed.digest),
					query: parsed.query,
				});
			case 'tags':
				return sendUpstreamTags(parsed, target, request, reply);
		}
	}

	/** A digest that the registry has not got where the name points, but perhaps in another of the fleet's releases: docs/tags.md. */
	async function answerElsewhere(
		parsed: ContentRequest,
		kind: DigestKind,
		digest: string,
		grant: FleetGrant,
		{ token }: Target,
		request: FastifyRequest,
		reply: FastifyReply,
	): Promise<void> {
		// Each way of answering listens for the end of the one answer; eleven listeners are a leak to Node, which would warn.
		reply.raw.setMaxListeners(0);
		await answer(parsed, await app.otherReleases.byDigest({ grant, token, request, reply }, kind, digest), request, reply);
	}

	async function sendUpstreamTags(parsed: TagsRequest, target: Target, request: FastifyRequest, reply: FastifyReply): Promise<void> {
		sendTags(parsed, await app.repositoryTags(upstreamRequest(parsed, target, 'tags', 'list'), request), reply);
	}

	/** @throws UNAUTHORIZED with a challenge, because there is no usable token */
	async function refuse(request: FastifyRequest, name: string | undefined, scope: string | undefined): Promise<never> {
		const { authorization = '' } = request.headers;
		throw await request.unauthorized(name, /^bearer /i.test(authorization) ? 'invalid_token' : undefined, scope);
	}

	/** Whether a token is valid, only the upstream registry can say. */
	function sendPing(token: KnownToken, request: FastifyRequest, reply: FastifyReply): void {
		if (token.isAccepted('')) {
			request.facts.cache = 'hit';
			sendJson(reply, {});
			return;
		}
		reply.forward({
			kind: 'ping',
			name: undefined,
			item: '',
			path: '/v2/',
			token: token.upstream,
			onAnswer: (status, headers) => {
				if (provesAccess({ kind: 'ping', status, headers })) {
					token.accept('');
				}
			},
		});
		// Docker and balena-engine wait for a ping as long as for a token, and no longer.
		const timer = setTimeout(
			() => request.clientGone?.emit('abort', new DOMException('the registry did not answer in time', 'TimeoutError')),
			config.LOGIN_TIMEOUT,
		);
		reply.raw.once('close', () => clearTimeout(timer));
	}

	function sendTags({ name, pagination }: TagsRequest, all: string[], reply: FastifyReply): void {
		const { tags, link } = tagPage(all, pagination, `/v2/${name}/tags/list`);
		if (link !== undefined) {
			reply.header('link', link);
		}
		sendJson(reply, { name, tags });
	}
}

/** Where a request leads at the upstream registry. Every part has been checked against its grammar when it was parsed. */
function upstreamRequest(
	{ kind, name }: ContentRequest,
	{ repository, token, onManifest }: Target,
	endpoint: DigestKind | 'referrers' | 'tags',
	item: string,
	onAbsent?: () => Promise<void>,
): UpstreamRequest {
	return { kind, name, item, path: `/v2/${repository}/${endpoint}/${item}`, token: token.upstream, onManifest, onAbsent };
}

/**
 * The tag of a friendly name has done its work: a release's repository has no tag but `latest`. Digests, and tags that stand for
 * digests, go through unchanged.
 */
function upstreamReference(reference: ManifestReference, isUpstreamName: boolean): string {
	return reference.kind === 'tag' && !isUpstreamName ? 'latest' : reference.text;
}

async function refuseToWrite(_request: FastifyRequest, reply: FastifyReply): Promise<never> {
	// What the client sends is not read, so the connection cannot be used again.
	reply.header('connection', 'close');
	throw new RegistryError('UNSUPPORTED', 'images can only be pulled through this proxy; push with the balena CLI', {
		headers: { allow: 'GET, HEAD' },
	});
}
