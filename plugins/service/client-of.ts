import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Client } from '../../src/balena/caller.ts';

/** @returns the machine that a request came from, for `Caller` */
export function clientOf(request: FastifyRequest, reply: FastifyReply): Client {
	return { address: request.ip, connection: reply.raw };
}
