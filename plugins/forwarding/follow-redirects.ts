import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { upstreamError } from '../../src/errors.ts';
import type { Config } from '../../src/config.ts';
import { blockList, isForbiddenTarget } from '../../src/http/networks.ts';
import type { ForwardedAnswer } from '../../src/http/forward-request.ts';
import { storageRequestHeaders } from '../../src/registry/headers.ts';
import { upstreamDispatcher } from '../../src/http/upstream-dispatcher.ts';

import { fromStorage } from './from-storage.ts';

declare module 'fastify' {
	interface FastifyInstance {
		/** Undefined unless FOLLOW_REDIRECTS is on. */
		follow:
			| undefined
			/**
			 * Fetches the blob that a redirect of the registry points to, or a part of it, without any credentials.
			 *
			 * @throws RegistryError where that may not be or cannot be had
			 */
			| ((location: string, request: FastifyRequest) => Promise<ForwardedAnswer>);
	}
}

const MAX_HOPS = 3;

/**
 * Following the registry's redirects instead of passing them on, for clients behind firewalls that reach this proxy but not the
 * object storage. The registry is trusted to say where a blob is, but not to send the proxy to itself or to a cloud's metadata
 * service: see src/networks.ts.
 */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		if (config.FOLLOW_REDIRECTS === 'off') {
			app.decorate('follow', undefined);
			return;
		}
		const allowed = blockList(config.FOLLOW_REDIRECTS_ALLOW);
		const schemes = config.FOLLOW_REDIRECTS === 'http' ? ['https:', 'http:'] : ['https:'];

		/** The address that is checked is the one that is connected to, so that a name cannot point elsewhere in between. */
		const checkedLookup: LookupFunction = (hostname, options, callback) => {
			lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
				const usable = error === null ? addresses.filter(({ address }) => !isForbiddenTarget(address, allowed)) : [];
				const [first] = usable;
				if (first === undefined) {
					callback(error ?? new Error(`a redirect leads to ${hostname}, which is this machine or its network`), '', 4);
				} else if (options.all === true) {
					callback(null, usable);
				} else {
					callback(null, first.address, first.family);
				}
			});
		};
		const storage = upstreamDispatcher(
			{
				connections: config.REGISTRY_CONNECTIONS,
				connectTimeout: config.REGISTRY_CONNECT_TIMEOUT,
				headersTimeout: config.REGISTRY_HEADERS_TIMEOUT,
				bodyTimeout: config.REGISTRY_BODY_TIMEOUT,
				lookup: checkedLookup,
			},
			config,
		);
		app.addHook('onClose', async () => storage.destroy());
		// A download is one, wherever it comes from.
		const dispatcher = storage.dispatcher.compose(app.registry.bound);

		function check(url: URL): URL {
			// Node does not look up what is an address already.
			const host = url.hostname.replace(/^\[|\]$/g, '');
			if (!schemes.includes(url.protocol) || (isIP(host) !== 0 && isForbiddenTarget(host, allowed))) {
				throw new Error(`a redirect leads to ${url.origin}, which is not allowed`);
			}
			return url;
		}

		app.decorate('follow', async (location, request) => {
			try {
				return fromStorage(request.upstreamRequest!, await fetchFrom(location, request));
			} catch (error) {
				throw upstreamError('registry', error);
			}
		});

		async function fetchFrom(location: string, request: FastifyRequest): Promise<ForwardedAnswer> {
			let url = check(new URL(location));
			for (let hop = 1; ; hop++) {
				const answer = await app.askFor(request, dispatcher, {
					origin: url.origin,
					path: url.pathname + url.search,
					headers: storageRequestHeaders(request.headers, request.upstreamRequest!.item),
				});
				const next = answer.headers.location;
				if (answer.statusCode < 300 || answer.statusCode >= 400 || next === undefined) {
					return answer;
				}
				answer.body.destroy();
				if (hop === MAX_HOPS) {
					throw new Error(`more than ${MAX_HOPS} redirects`);
				}
				url = check(new URL(next, url));
			}
		}
	},
	{ name: 'follow-redirects', dependencies: ['rate-limit', 'registry', 'ask-for'] },
);
