import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { upstreamError } from '../../src/errors.ts';
import type { Config } from '../../src/config.ts';
import { smallRequest } from '../../src/http/small-request.ts';
import { upstreamStatusError } from '../../src/registry/error-response.ts';
import { nextQuery } from '../../src/registry/link.ts';
import type { UpstreamRequest } from '../../src/registry/upstream-request.ts';
import { goneSignal } from '../service/gone-signal.ts';

declare module 'fastify' {
	interface FastifyInstance {
		/** @returns the tags of an upstream repository. @throws RegistryError where the registry refuses or does not answer */
		repositoryTags(upstreamRequest: UpstreamRequest, request: FastifyRequest): Promise<string[]>;
	}
}

/** A release's repository has one tag; this is for all else that could be pointed at. */
const MAX_BYTES = 1024 * 1024;
/** Registries cut a list after 100 to 1,000 tags, if at all. */
const MAX_PAGES = 20;

/** The tags of a repository, as the upstream registry lists them. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		app.decorate('repositoryTags', async (upstreamRequest, request) => {
			const tags: string[] = [];
			let query: string | undefined;
			let bytes = 0;
			for (let page = 0; page === 0 || query !== undefined; page++) {
				// A list that is cut off would say that the rest is not there.
				if (page === MAX_PAGES || bytes > MAX_BYTES) {
					throw upstreamError('registry', new Error(`a list of tags of more than ${page} pages and ${bytes} bytes`));
				}
				const answer = await askPage(upstreamRequest, query, request);
				tags.push(...answer.tags);
				bytes += answer.bytes;
				query = nextQuery(answer.link, upstreamRequest.path);
			}
			return tags;
		});

		async function askPage(
			upstreamRequest: UpstreamRequest,
			query: string | undefined,
			request: FastifyRequest,
		): Promise<{ tags: string[]; bytes: number; link: string | string[] | undefined }> {
			const { status, headers, body } = await smallRequest(app.registry.dispatcher, {
				origin: config.REGISTRY_URL,
				path: query === undefined ? upstreamRequest.path : `${upstreamRequest.path}?${query}`,
				headers: { authorization: `Bearer ${upstreamRequest.token}`, 'x-request-id': request.id },
				maxBytes: MAX_BYTES,
				signal: goneSignal(request),
				client: app.shareOf(request.ip),
			}).catch((error: unknown) => {
				throw upstreamError('registry', error);
			});
			if (status >= 400) {
				throw await request.refusal(upstreamRequest, status, headers, body);
			}
			const list = parseJson(body) as { tags?: unknown } | null | undefined;
			// A list that is not legible is not an empty one. A repository without tags has null.
			if (status !== 200 || typeof list?.tags !== 'object') {
				throw upstreamStatusError(502, { ...upstreamRequest, name: upstreamRequest.name ?? '' }, {});
			}
			const tags = Array.isArray(list.tags) ? list.tags.filter((tag) => typeof tag === 'string') : [];
			return { tags, bytes: body.length, link: headers.link };
		}
	},
	{ name: 'repository-tags', dependencies: ['registry', 'refusal', 'rate-limit'] },
);

function parseJson(body: Buffer): unknown {
	try {
		return JSON.parse(body.toString()) ?? undefined;
	} catch {
		return undefined;
	}
}
