import type { FastifyReply } from 'fastify';

/**
 * For a handler that answers by itself, and returns nothing to Fastify: of a reply that a handler returns, or an async function
 * that it waits for, Fastify waits for the end, with the listeners of a stream, which costs as much as a small answer.
 *
 * @param work undefined where the answer is on its way; what it throws becomes the answer
 */
export function answerLater(reply: FastifyReply, work: Promise<void> | void): void {
	work?.catch((error: unknown) => {
		// What is no error Fastify would send as an answer, of status 200.
		reply.send(error instanceof Error ? error : new Error('a failure without an error', { cause: error }));
	});
}
