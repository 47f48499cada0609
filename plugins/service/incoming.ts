import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { IncomingMessage } from 'node:http';
import type { Config } from '../../src/config.ts';
import { RegistryError } from '../../src/errors.ts';
import { forwardedAddresses, outermostValue, trustedHops } from '../../src/http/forwarded.ts';
import { readTarget } from '../../src/http/request-target.ts';

/** Under which address a client reached this service, and which header says so. */
export interface Reached {
	protocol: string;
	host: string | undefined;
	hostHeader: 'Host' | 'X-Forwarded-Host';
}

declare module 'fastify' {
	interface FastifyRequest {
		/** By what the hops in front say, as far as TRUST_PROXY trusts them; nothing of it has been checked yet. */
		reached(): Reached;
	}
}

const HOST_LENGTH = 'host'.length;

/** Reads what every request says of itself, once, before anything else looks at it: its target, and what hops in front have added. */
export default fp(
	async (app: FastifyInstance, { TRUST_PROXY, PUBLIC_URL }: Config) => {
		const isTrusted = trustedHops(TRUST_PROXY);
		if (TRUST_PROXY === true) {
			app.log.warn(
				'TRUST_PROXY=true takes the first address in X-Forwarded-For for the client, which a client can write itself where the balancer only appends to it: name the addresses of the balancer instead',
			);
		}

		// Before Fastify's own listener, which looks for the route.
		app.server.prependListener('request', (raw: IncomingMessage) => {
			const { url = '', headers } = raw;
			if (!url.startsWith('/') || url.includes('%')) {
				const { path, host } = readTarget(url);
				raw.url = path;
				headers.host = host ?? headers.host;
			}
			const addresses = headers['x-forwarded-for'];
			if (typeof addresses === 'string' && isTrusted(raw.socket.remoteAddress)) {
				headers['x-forwarded-for'] = forwardedAddresses(addresses);
			}
		});

		let hasWarned = false;
		app.addHook('onRequest', (request, _reply, done) => {
			if (!hasWarned && isForwardedByStranger(request)) {
				hasWarned = true;
				const { remoteAddress } = request.raw.socket;
				app.log.warn(
					{ peer: remoteAddress },
					`X-Forwarded-* of a peer that TRUST_PROXY does not name are ignored; if this is your balancer, set TRUST_PROXY=${remoteAddress}${PUBLIC_URL === undefined ? ', and PUBLIC_URL to the address that clients use' : ''}`,
				);
			}
			done(
				hasTwoHosts(request.raw)
					? new RegistryError('UNSUPPORTED', 'the request has more than one Host header', { status: 400 })
					: undefined,
			);
		});

		function isForwardedByStranger({ raw }: FastifyRequest): boolean {
			const { 'x-forwarded-for': addresses, 'x-forwarded-proto': protocol, 'x-forwarded-host': host } = raw.headers;
			return (addresses ?? protocol ?? host) !== undefined && !isTrusted(raw.socket.remoteAddress);
		}

		app.decorateRequest('reached', function () {
			const { headers, raw, ips } = this;
			const own = 'encrypted' in raw.socket ? 'https' : 'http';
			if (!isTrusted(raw.socket.remoteAddress)) {
				return { protocol: own, host: headers.host, hostHeader: 'Host' };
			}
			const [protocol, host] = [headers['x-forwarded-proto'], headers['x-forwarded-host']];
			// All addresses but the client's own are hops; the last of them is the peer.
			const hops = headers['x-forwarded-for'] === undefined || ips === undefined ? undefined : Math.max(1, ips.length - 1);
			return {
				protocol: typeof protocol === 'string' ? outermostValue(protocol, hops).toLowerCase() : own,
				...(typeof host === 'string'
					? { host: outermostValue(host, hops), hostHeader: 'X-Forwarded-Host' }
					: { host: headers.host, hostHeader: 'Host' }),
			};
		});
	},
	{ name: 'incoming' },
);

/** RFC 9112 section 3.2. Node takes the first, and another hop may take the last. */
function hasTwoHosts({ rawHeaders }: IncomingMessage): boolean {
	let hosts = 0;
	for (let i = 0; i < rawHeaders.length; i += 2) {
		if (rawHeaders[i]!.length === HOST_LENGTH && rawHeaders[i]!.toLowerCase() === 'host') {
			hosts++;
		}
	}
	return hosts > 1;
}
