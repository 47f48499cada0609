import type { FastifyReply } from 'fastify';

/**
 * For a handler that answers by itself, and returns nothing to Fastify: of a reply that a handler returns, or an async function
 * that it waits for, Fastify waits for the end, with the listeners of a stream, which costs as much as a small answer.
 *
 * @param work undefined where the answer is on its way; what it throws becomes the answer
 */
export function answerLater(reply: FastifyReply, work: Promise<void> | void): void {
	work?.catch((error: unknown) => void reply.send(error));
}
