import type { FastifyReply } from 'fastify';

/**
 * Sends a JSON body as plain `application/json`. As bytes, because Fastify would add a charset to the type of a text, with which
 * some clients do not take it for JSON.
 */
export function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
	return reply.header('content-type', 'application/json').send(Buffer.from(JSON.stringify(value)));
}
