import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, request as httpRequest, type Dispatcher } from 'undici';
import type { BoundedOptions } from '../../src/http/bounded-dispatch.ts';
import { upstreamError } from '../../src/errors.ts';
import type { Config } from '../../src/config.ts';
import { blockList, isForbiddenTarget } from '../../src/http/networks.ts';
import { forwardedRequestHeaders } from '../../src/registry/headers.ts';
import { VERIFIED } from '../../src/http/verified.ts';

declare module 'fastify' {
	interface FastifyInstance {
		/** Undefined unless FOLLOW_REDIRECTS is on. */
		follow:
			| undefined
			/** Fetches what a redirect of the registry points to, without any credentials. @throws RegistryError where that may not be or cannot be had */
			| ((location: string, request: FastifyRequest) => Promise<Dispatcher.ResponseData>);
	}
}

const MAX_HOPS = 3;

/**
 * Following the registry's redirects instead of passing them on, for clients behind firewalls that reach this proxy but not the object storage. The registry is trusted to
 * say where a blob is, but not to send the proxy to itself or to a cloud's metadata service: see src/networks.ts.
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
		const agent = new Agent({
			connections: config.REGISTRY_CONNECTIONS,
			connect: { ...VERIFIED, timeout: config.REGISTRY_CONNECT_TIMEOUT, lookup: checkedLookup },
			headersTimeout: config.REGISTRY_HEADERS_TIMEOUT,
			bodyTimeout: config.REGISTRY_BODY_TIMEOUT,
		});
		app.addHook('onClose', async () => agent.destroy());
		// A download is one, wherever it comes from.
		const dispatcher = agent.compose(app.registry.bound);

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
				let url = check(new URL(location, config.REGISTRY_URL));
				for (let hop = 1; ; hop++) {
					const response = await httpRequest(url, {
						method: request.method as 'GET' | 'HEAD',
						dispatcher,
						signal: request.signal,
						client: app.shareOf(request.ip),
						headers: forwardedRequestHeaders(request.headers),
					} as { method: 'GET' | 'HEAD' } & BoundedOptions);
					const next = response.headers['location'];
					if (response.statusCode < 300 || response.statusCode >= 400 || typeof next !== 'string') {
						return response;
					}
					await response.body.dump();
					if (hop === MAX_HOPS) {
						throw new Error(`more than ${MAX_HOPS} redirects`);
					}
					url = check(new URL(next, url));
				}
			} catch (error) {
				throw upstreamError('registry', error);
			}
		});
	},
	{ name: 'follow-redirects', dependencies: ['rate-limit', 'registry'] },
);
