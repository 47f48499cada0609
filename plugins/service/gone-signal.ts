import type { FastifyRequest } from 'fastify';

/**
 * Fastify's own signal is made when it is first asked for, and says nothing of what was before: of a client that went during an
 * earlier wait it would never tell.
 *
 * @returns a signal that is aborted when a request's client goes, or has gone
 */
export function goneSignal(request: FastifyRequest): AbortSignal {
	return request.raw.destroyed ? AbortSignal.abort(new DOMException('the client has gone', 'AbortError')) : request.signal;
}
