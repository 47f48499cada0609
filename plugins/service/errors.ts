import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Socket } from 'node:net';
import type { Config } from '../../src/config.ts';
import { RegistryError, upstreamError } from '../../src/errors.ts';
import { plainAddress } from '../../src/http/client-address.ts';
import { errorResponse } from '../../src/registry/error-response.ts';
import { PRIVATE_HEADERS } from '../../src/registry/headers.ts';
import { templateVariableIn } from '../../src/registry/template-variable.ts';
import { sendJson } from './send-json.ts';

/** Answers every failure, known or not, with an OCI error body. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		app.setErrorHandler((error: FastifyError | RegistryError, request, reply) => void sendError(asRegistryError(error), request, reply));
		// Limits are a matter of routes, and this is none.
		const limit = config.RATE_LIMIT_MAX > 0 ? { preHandler: app.rateLimit() } : {};
		app.setNotFoundHandler(limit, (request, reply) =>
			sendError(
				request.method === 'GET' || request.method === 'HEAD'
					? new RegistryError('UNSUPPORTED', 'there is nothing at this address', { status: 404 })
					: new RegistryError('UNSUPPORTED', 'images can only be pulled through this proxy'),
				request,
				reply,
			),
		);
	},
	{ name: 'errors', dependencies: ['request-log', 'rate-limit'] },
);

/**
 * Addresses whose answers say that they are private, also where no route is: what is not there is what a cache may keep unasked
 * (RFC 9111 section 4.2.2).
 */
const BELOW_V2 = /^\/v2(?:[/?]|$)/;

/** Notes an error for the line of its request, and logs what only the operator should know. */
export function logError(error: RegistryError, request: FastifyRequest, reply: FastifyReply): void {
	// A request that Fastify itself refuses has no facts yet.
	if (request.facts !== undefined) {
		request.facts.overloaded = error.overloaded;
		request.facts.limit ??= error.limit;
	}
	// What fails because its client has gone away is no fault of anybody's.
	if (error.statusCode >= 500 && !reply.raw.destroyed) {
		request.log.error({ cause: describe(error.cause) }, error.message);
	} else {
		request.log.debug({ code: error.code, cause: describe(error.cause) }, error.message);
	}
}

/** Sends an error as it answers itself, and logs it. */
export function sendError(error: RegistryError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
	logError(error, request, reply);
	const { status, reason, headers, body } = errorResponse(error, request.headers['user-agent']);
	if (reason !== undefined && request.raw.httpVersionMajor === 1) {
		reply.raw.statusMessage = reason;
	}
	if (BELOW_V2.test(request.url)) {
		reply.headers(PRIVATE_HEADERS);
	}
	return sendJson(reply.code(status).headers(headers), body);
}

/**
 * What ends a connection to an upstream: undici's own codes, and the system's. What its parser cannot read has a name, but not
 * always a code.
 */
const BROKEN_CONNECTION = /^(UND_ERR_|ECONN|EPIPE|ETIMEDOUT)/;

/**
 * What Fastify refuses before there is a route. An address that cannot be decoded is mostly one with `%%BALENA_ARCH%%` in it,
 * which deserves more than a code.
 */
export function sendFrameworkError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
	const variable = error.code === 'FST_ERR_BAD_URL' ? templateVariableIn(request.url) : undefined;
	return sendError(
		variable === undefined ? asRegistryError(error) : new RegistryError('NAME_INVALID', variable, { forPeople: true }),
		request,
		reply,
	);
}

/**
 * Fastify's own errors (a body that is too large, a malformed URL) keep their status; anything else is a defect, and says nothing
 * of itself.
 */
export function asRegistryError(error: FastifyError | RegistryError): RegistryError {
	if (error instanceof RegistryError) {
		return error;
	}
	// A forwarded body that broke before its first byte was sent: the only error of an upstream that Fastify sees before this
	// proxy's own code does.
	if (BROKEN_CONNECTION.test(error.code ?? '') || error.name === 'HTTPParserError') {
		return upstreamError('registry', error);
	}
	const status = error.statusCode ?? 500;
	return status >= 400 && status < 500
		? // Without the cause: its message can quote the URL, with its query, or the body.
			new RegistryError('UNSUPPORTED', `the request was not understood (${error.code ?? status})`, { status })
		: new RegistryError('UNKNOWN', 'something went wrong in the proxy', { cause: error });
}

/** What Node says of too much or too slow a request; anything else is none at all, and 400. */
const CLIENT_ERRORS: Record<string, [status: number, reason: string]> = {
	HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
	ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
	HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Payload Too Large'],
};

/** Answers what Node could not read as a request. There is no reply to do that with yet, only the connection, which ends here. */
export function sendClientError(this: FastifyInstance, error: { code: string }, socket: Socket): void {
	if (error.code === 'ECONNRESET' || !socket.writable) {
		socket.destroy();
		return;
	}
	const [status, reason] = CLIENT_ERRORS[error.code] ?? [400, 'Bad Request'];
	this.log.info({ client: plainAddress(socket.remoteAddress), status, code: error.code }, 'what came is not a request');
	this.requests.onUnreadable.forEach((listener) => listener(status));
	const body = JSON.stringify(new RegistryError('UNSUPPORTED', `the request was not understood (${error.code})`).body);
	socket.write(
		`HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
	);
	socket.destroySoon();
}

/** Longest message of a cause in the log: balena-sdk's hold the API's whole answer. */
const MAX_CAUSE_LENGTH = 500;

/**
 * An error in words that hold no secret: balena-sdk's carry the request's headers as properties, so only names, codes and
 * messages are taken.
 */
function describe(error: unknown, depth = 0): unknown {
	if (!(error instanceof Error) || depth > 3) {
		return undefined;
	}
	const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
	return {
		type: error.name,
		message: error.message.slice(0, MAX_CAUSE_LENGTH),
		...(code === undefined ? {} : { code }),
		...(statusCode === undefined ? {} : { statusCode }),
		// A defect of this program: undici's "fetch failed" is a TypeError too, but has a cause.
		...(error.cause === undefined && (error instanceof TypeError || error instanceof RangeError) ? { stack: error.stack } : {}),
		...(error.cause === undefined ? {} : { cause: describe(error.cause, depth + 1) }),
	};
}
