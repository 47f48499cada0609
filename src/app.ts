import { randomBytes } from 'node:crypto';
import Fastify, { LogController, type FastifyInstance, type FastifyPluginAsync, type FastifyServerOptions } from 'fastify';
import fp from 'fastify-plugin';
import forwarding from '../plugins/forwarding/index.ts';
import monitoring from '../plugins/monitoring/index.ts';
import pages from '../plugins/pages/index.ts';
import pull from '../plugins/pull/index.ts';
import resolution from '../plugins/resolution/index.ts';
import { readCertificate } from '../plugins/service/certificate.ts';
import { sendClientError, sendFrameworkError } from '../plugins/service/errors.ts';
import service from '../plugins/service/index.ts';
import tokens from '../plugins/tokens/index.ts';
import upstreams from '../plugins/upstreams/index.ts';
import type { Config } from './config.ts';
import { trustedHops } from './http/forwarded.ts';

/** Of all headers of a request together: Node's own limit, written down because tokens have to fit into it. */
const MAX_HEADER_BYTES = 16 * 1024;
/** How often Node looks for clients that take too long. */
const CHECKING_INTERVAL_MS = 5000;

/**
 * Puts the service together, in the order in which a request meets it: first what every request needs, then the upstreams, then
 * the routes. Each folder uses only those before it. Where a plugin is missing, the start fails, and says which.
 *
 * @param config what `parseConfig` returned
 * @param options for Fastify itself: the logger, and TLS
 * @returns the service, ready but not listening; `close()` ends its upstream connections
 */
export async function buildApp(
	config: Config,
	options: Pick<FastifyServerOptions, 'loggerInstance' | 'logger'> = {},
): Promise<FastifyInstance> {
	const certificatePair = readCertificate(config);
	// These bound the sending of a request, not the answer to it: a slow download is nobody's attack.
	const clientLimits = {
		requestTimeout: config.CLIENT_TIMEOUT,
		headersTimeout: config.CLIENT_TIMEOUT,
		connectionsCheckingInterval: Math.min(CHECKING_INTERVAL_MS, config.CLIENT_TIMEOUT),
		maxHeaderSize: MAX_HEADER_BYTES,
	};
	const app = Fastify({
		...options,
		// Fastify's types know which of the two a server is; here the configuration says it.
		...({ http: clientLimits, https: certificatePair && { ...certificatePair, ...clientLimits } } as { http: typeof clientLimits }),
		// A function, because only that sees the addresses as plugins/service/incoming.ts has read them.
		trustProxy: config.TRUST_PROXY === false ? false : trustedHops(config.TRUST_PROXY),
		// HEAD has routes of its own: Fastify's would run the GET handler and drain the stream.
		exposeHeadRoutes: false,
		// None that is too long to be routed: it would be answered before anything is limited or logged.
		// Queries are read by who needs them.
		routerOptions: { maxParamLength: MAX_HEADER_BYTES, querystringParser: () => ({}) },
		bodyLimit: 64 * 1024,
		// No route has a JSON schema. Fastify's own compilers, which would be loaded for them, are 100 files and 8 MB.
		schemaController: { compilersFactory: { buildValidator: compilesNothing, buildSerializer: compilesNothing } },
		// A client that asks for a blob and does not take it would hold a connection to the registry for ever.
		connectionTimeout: config.IDLE_TIMEOUT,
		keepAliveTimeout: config.KEEP_ALIVE_TIMEOUT,
		// What comes on a connection that was kept is answered, and its connection closed then.
		return503OnClosing: false,
		requestTimeout: config.CLIENT_TIMEOUT,
		logController: new LogController({ disableRequestLogging: true }),
		genReqId: ({ headers }) => requestId(headers['x-request-id']),
		frameworkErrors: (error, request, reply) => void sendFrameworkError(error, request, reply),
		clientErrorHandler: sendClientError,
	});

	await app.register(service, config);
	await app.register(upstreams, config);
	await app.register(resolution, config);
	await app.register(tokens, config);
	await app.register(forwarding, config);
	await app.register(pull, config);
	await app.register(pages, config);
	await app.register(monitoring, config);
	await app.register(whole(config));

	return app;
}

/** @returns a plugin that depends on those that no other plugin asks for, so that they are missed as well */
function whole({ METRICS_PORT }: Config): FastifyPluginAsync {
	return fp(async () => undefined, {
		name: 'whole',
		dependencies: [
			'certificate',
			'closing-connections',
			'end-of-turn',
			'token-endpoint',
			'pull-routes',
			'page-routes',
			'health',
			...(METRICS_PORT === undefined ? [] : ['metrics']),
		],
	});
}

function compilesNothing(): never {
	throw new Error('no schema is expected in any route');
}

/** What no other process has at the beginning of its ids. */
const OF_PROCESS = randomBytes(12).toString('base64url');
let requestCount = 0;

/** The id that the request came with, so that its traces can be joined, or a new one. */
function requestId(given: string | string[] | undefined): string {
	return typeof given === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : `${OF_PROCESS}-${(++requestCount).toString(36)}`;
}
