import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Limit } from '../../src/errors.ts';
import { plainAddress } from '../../src/http/client-address.ts';
import { lineWriter } from '../../src/process/logger.ts';

/** What became known of a request while it was answered: for its log line and its metrics. */
export interface Facts {
	/** Which endpoint; of few values, because it is a metric's label. */
	kind: 'ping' | 'token' | 'manifest' | 'blob' | 'tags' | 'referrers' | 'catalog' | 'page' | 'health' | 'other';
	/** The friendly name, or several, in the client's words. */
	name?: string;
	/** Version of the release that the name meant. */
	version?: string;
	/** The upstream registry's name for it. */
	repository?: string;
	/** Whether the answer came from memory. */
	cache?: 'hit' | 'miss';
	/** Whose queue was too long for the request. */
	overloaded?: 'api' | 'registry';
	/** Which limit refused the request. */
	limit?: Limit;
}

/** Longest text of a client's own in a log line, in characters: headers may have 16 KB. */
const MAX_TEXT_LENGTH = 200;

declare module 'fastify' {
	interface FastifyInstance {
		requests: {
			/** How many are being answered. */
			inFlight: number;
			/** Called when an answer is out, has broken off, or its client has gone. */
			readonly onEnd: ((request: FastifyRequest, reply: FastifyReply) => void)[];
			/** Called when something was refused, with a status, that could not be read as a request. */
			readonly onUnreadable: ((status: number) => void)[];
		};
	}
	interface FastifyContextConfig {
		/** The kind of all requests of a route, where it does not depend on the path. */
		kind?: Facts['kind'];
	}
	interface FastifyRequest {
		facts: Facts;
		/** What the connection had sent when the request came. */
		bytesBefore: number;
	}
}

/** One log line a request, when its answer is out or its client gone. Neither headers nor queries are in it: they carry credentials. */
export default fp(
	async (app: FastifyInstance) => {
		const write = lineWriter(app.log, 'request');
		const { onEnd } = app.decorate('requests', {
			inFlight: 0,
			onEnd: [(request, reply) => write(line(request, reply))],
			onUnreadable: [],
		}).requests;
		app.decorateRequest('facts');
		app.decorateRequest('bytesBefore', 0);
		// A hook with a callback, because it runs for every request, and a promise for each costs more than what it does.
		app.addHook('onRequest', (request, reply, done) => {
			request.facts = { kind: request.routeOptions.config.kind ?? 'other' };
			request.bytesBefore = request.raw.socket.bytesWritten;
			reply.header('x-request-id', request.id);
			// Not onResponse, which is not called where an answer broke off or its client went away.
			app.requests.inFlight++;
			reply.raw.on('close', () => {
				app.requests.inFlight--;
				for (const listener of onEnd) {
					listener(request, reply);
				}
			});
			done();
		});
	},
	{ name: 'request-log' },
);

function line(request: FastifyRequest, reply: FastifyReply): Record<string, unknown> {
	const { facts, raw } = request;
	return {
		reqId: request.id,
		client: plainAddress(request.ip),
		method: request.method,
		kind: facts.kind,
		name: facts.name,
		version: facts.version,
		repository: facts.repository,
		cache: facts.cache,
		overloaded: facts.overloaded,
		limit: facts.limit,
		path: facts.kind === 'other' ? pathOf(raw.url) : undefined,
		status: statusSent(reply),
		bytes: bytesSent(request),
		ms: Math.round(reply.elapsedTime * 10) / 10,
		aborted: reply.raw.writableFinished ? undefined : true,
		agent: request.headers['user-agent']?.slice(0, MAX_TEXT_LENGTH),
	};
}

/** @returns the status of the answer; 499, as nginx has it, where the client went away before there was one */
export function statusSent({ raw, statusCode }: FastifyReply): number {
	return raw.headersSent ? statusCode : 499;
}

/** @returns how many bytes of the answer went to the client, headers included: of a download that broke off, what was sent of it */
export function bytesSent({ raw, bytesBefore }: FastifyRequest): number {
	return raw.socket.bytesWritten - bytesBefore;
}

/** The beginning of a path that means nothing here, without its query. */
function pathOf(url = ''): string {
	return (url.split('?', 1)[0] ?? '').slice(0, MAX_TEXT_LENGTH);
}
