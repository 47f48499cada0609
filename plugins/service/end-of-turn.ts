import type { FastifyInstance, FastifyReply } from 'fastify';
import fp from 'fastify-plugin';
import { isAscii } from 'node:buffer';
import type { ServerResponse } from 'node:http';

/**
 * Bytes up to which a body goes out as a text, in one piece with its head: Node writes that from its own stack, where it has 16
 * KB, and counts three for a character.
 */
const MAX_TEXT_BYTES = 4 * 1024;

/**
 * Answers that are ready in one turn of the event loop are written at its end, one right after the other, and what comes after an
 * answer, such as its log line, only then.
 *
 * A write wakes whoever waits for it; between answers that are ready apart, the reader falls asleep again, and each write pays
 * for another wake-up. Written together they cost a third to a half less processor time under load. A single request waits some
 * 15 µs longer.
 */
export default fp(
	async (app: FastifyInstance) => {
		let ready: { reply: FastifyReply; send: () => void }[] = [];
		const sendAll = (): void => {
			const answers = ready;
			ready = [];
			for (const { reply, send } of answers) {
				try {
					send();
				} catch (error) {
					// A second answer to one request is a defect, and nothing here could catch it: it ends nobody's answer but its own.
					reply.log.error({ err: error }, 'an answer could not be sent');
					reply.raw.destroy();
				}
			}
		};
		app.addHook('onSend', (_request, reply, payload, done) => {
			let body = payload;
			if (Buffer.isBuffer(payload) && payload.length <= MAX_TEXT_BYTES && isAscii(payload)) {
				body = payload.toString('latin1');
				reply.raw.end = endLatin1 as ServerResponse['end'];
			}
			if (ready.push({ reply, send: () => done(null, body) }) === 1) {
				setImmediate(sendAll);
			}
		});
	},
	{ name: 'end-of-turn' },
);

/**
 * Fastify names no encoding for a text, and Node writes the head in that of the text, UTF-8 then: a header beyond ASCII would
 * become other bytes.
 */
function endLatin1(this: ServerResponse, text: string): ServerResponse {
	return (Object.getPrototypeOf(this) as ServerResponse).end.call(this, text, 'latin1');
}
