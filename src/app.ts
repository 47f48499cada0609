import { randomUUID } from 'node:crypto';
import Fastify, { LogController, type FastifyInstance, type FastifyServerOptions } from 'fastify';
import acting from '../plugins/acting.ts';
import api from '../plugins/api.ts';
import bearer from '../plugins/bearer.ts';
import blobs from '../plugins/blobs.ts';
import certificate, { readCertificate } from '../plugins/certificate.ts';
import challenge from '../plugins/challenge.ts';
import endOfTurn from '../plugins/end-of-turn.ts';
import errors, { asRegistryError, sendClientError, sendError } from '../plugins/errors.ts';
import fleetContent from '../plugins/fleet-content.ts';
import follow from '../plugins/follow.ts';
import forward from '../plugins/forward.ts';
import health from '../plugins/health.ts';
import landingPage from '../plugins/landing-page.ts';
import locate from '../plugins/locate.ts';
import manifests from '../plugins/manifests.ts';
import pull from '../plugins/pull.ts';
import rateLimit from '../plugins/rate-limit.ts';
import registry from '../plugins/registry.ts';
import requestLog from '../plugins/request-log.ts';
import resolver from '../plugins/resolver.ts';
import tokenEndpoint from '../plugins/token-endpoint.ts';
import tokens from '../plugins/tokens.ts';
import unusedConnections from '../plugins/unused-connections.ts';
import type { Config } from './config.ts';

/** Of all headers of a request together: Node's own limit, written down because tokens have to fit into it. */
const MAX_HEADER_BYTES = 16 * 1024;
/** How often Node looks for clients that take too long. */
const CHECKING_INTERVAL_MS = 5000;

/**
 * Puts the service together, in the order in which a request meets it: first what every request needs, then the upstreams, then the routes. A plugin that is
 * missing one it depends on fails the start.
 *
 * @param config what `parseConfig` returned
 * @param options for Fastify itself: the logger, and TLS
 * @returns the service, ready but not listening; `close()` ends its upstream connections
 */
export async function buildApp(config: Config, options: Pick<FastifyServerOptions, 'loggerInstance' | 'logger'> = {}): Promise<FastifyInstance> {
	const certificatePair = readCertificate(config);
	// These bound the sending of a request, not the answer to it: a slow download is nobody's attack.
	const clientLimits = { requestTimeout: config.CLIENT_TIMEOUT, headersTimeout: config.CLIENT_TIMEOUT, connectionsCheckingInterval: Math.min(CHECKING_INTERVAL_MS, config.CLIENT_TIMEOUT), maxHeaderSize: MAX_HEADER_BYTES };
	const app = Fastify({
		...options,
		// Fastify's types know which of the two a server is; here the configuration says it.
		...({ http: clientLimits, https: certificatePair && { ...certificatePair, ...clientLimits } } as { http: typeof clientLimits }),
		trustProxy: config.TRUST_PROXY,
		// HEAD has routes of its own: Fastify's would run the GET handler and drain the stream.
		exposeHeadRoutes: false,
		bodyLimit: 64 * 1024,
		// A client that asks for a blob and does not take it would hold a connection to the registry for ever.
		connectionTimeout: config.IDLE_TIMEOUT,
		requestTimeout: config.CLIENT_TIMEOUT,
		logController: new LogController({ disableRequestLogging: true }),
		genReqId: ({ headers }) => requestId(headers['x-request-id']),
		frameworkErrors: (error, request, reply) => sendError(asRegistryError(error), request, reply),
		clientErrorHandler: sendClientError,
	});

	await app.register(certificate, config);
	await app.register(unusedConnections, config);
	await app.register(endOfTurn);
	await app.register(requestLog);
	await app.register(errors);
	await app.register(rateLimit, config);

	await app.register(api, config);
	await app.register(registry, config);
	await app.register(follow, config);
	await app.register(forward, config);
	await app.register(challenge, config);
	await app.register(health, config);
	await app.register(resolver, config);
	await app.register(tokens, config);
	await app.register(bearer, config);
	await app.register(acting, config);
	await app.register(fleetContent, config);
	await app.register(locate, config);
	await app.register(manifests, config);
	await app.register(blobs, config);
	if (config.METRICS_PORT !== undefined) {
		await app.register((await import('../plugins/metrics.ts')).default, config);
	}

	await app.register(tokenEndpoint, config);
	await app.register(pull, config);
	await app.register(landingPage, config);

	return app;
}

/** The id that the request came with, so that its traces can be joined, or a new one. */
function requestId(given: string | string[] | undefined): string {
	return typeof given === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : randomUUID();
}
