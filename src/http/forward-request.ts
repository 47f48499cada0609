import { Readable } from 'node:stream';
import type { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';

/** Bytes up to which an answer is read whole: a stream around it would cost more than all else that is done for it. */
const MAX_WHOLE_BYTES = 64 * 1024;

/** Bytes of an error that are kept, for the log. */
const MAX_ERROR_BYTES = 4 * 1024;

/** A body that has come to its end; of an error, its beginning. It can be given up like a stream. */
export interface WholeBody {
	whole: Buffer;
	destroy(): void;
}

export interface ForwardedAnswer {
	statusCode: number;
	headers: IncomingHttpHeaders;
	body: Readable | WholeBody;
}

/** As undici's `request` calls back. */
export type AnswerCallback = (error: Error | null, answer?: ForwardedAnswer) => void;

/**
 * One request whose answer goes on to a client: a large body of a success as a stream, with back-pressure, anything else whole,
 * and of an error the beginning.
 *
 * @param dispatcher its time-outs bound the waits
 * @param clientGone emits "abort" when nobody wants the answer any more, with the reason if there is another than that the client
 * has gone; its `client` stands for the client where connections are shared out, `mayWait` is for `askLater`
 * @param onBytes told the length of each part of a stream
 * @param callback told an error where the registry broke off before there was an answer, whole or to be streamed
 */
export function forwardRequest(
	dispatcher: Dispatcher,
	{ origin, path, method, headers }: Dispatcher.DispatchOptions,
	clientGone: EventEmitter & { client?: string; mayWait?: boolean },
	onBytes: (length: number) => void,
	callback: AnswerCallback,
): void {
	const answer = { statusCode: 0, headers: {} as IncomingHttpHeaders };
	const chunks: Buffer[] = [];
	let length = 0;
	let stream: Readable | undefined;
	let hasEnded = false;

	const end = (error: Error | null): void => {
		if (hasEnded) {
			return;
		}
		hasEnded = true;
		if (stream !== undefined) {
			if (error === null) {
				stream.push(null);
			} else {
				stream.destroy(error);
			}
		} else if (error === null || answer.statusCode >= 400) {
			// Of a refusal, the status is enough. Distribution 2.8 announces more than it sends with a 416.
			const whole = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
			callback(null, { ...answer, body: { whole, destroy: () => undefined } });
		} else {
			callback(error);
		}
	};

	let controller: Dispatcher.DispatchController | undefined;
	let isGone = false;
	let reason: Error | undefined;
	const giveUp = (): void => {
		if (!hasEnded) {
			controller?.abort(reason ?? unwanted('the client has gone'));
		}
	};
	clientGone.once('abort', (given?: Error) => {
		isGone = true;
		reason = given;
		giveUp();
	});

	dispatcher.dispatch(
		// The last three are for what is composed on the dispatcher; undici's dispatch itself knows none of them.
		{
			origin,
			path,
			method,
			headers,
			signal: clientGone,
			client: clientGone.client,
			mayWait: clientGone.mayWait,
		} as Dispatcher.DispatchOptions,
		{
			onRequestStart(started) {
				controller = started;
				// It may have waited for a connection until nobody wanted it any more.
				if (isGone) {
					giveUp();
				}
			},
			onResponseStart(controller, statusCode, responseHeaders) {
				answer.statusCode = statusCode;
				answer.headers = responseHeaders;
				if (statusCode < 300 && method !== 'HEAD' && !(Number(responseHeaders['content-length']) <= MAX_WHOLE_BYTES)) {
					stream = new Readable({
						read: () => controller.resume(),
						destroy: (error, done) => {
							if (!hasEnded) {
								hasEnded = true;
								controller.abort(error ?? unwanted('the answer is not wanted any more'));
							}
							done(error);
						},
					});
					callback(null, { ...answer, body: stream });
				}
			},
			onResponseData(controller, chunk) {
				if (stream !== undefined) {
					onBytes(chunk.length);
					if (!stream.push(chunk)) {
						controller.pause();
					}
					return;
				}
				length += chunk.length;
				if (length > MAX_WHOLE_BYTES) {
					const error = new Error(`an answer of status ${answer.statusCode} has more than ${MAX_WHOLE_BYTES} bytes`);
					end(error);
					controller.abort(error);
				} else if (answer.statusCode < 400 || length <= MAX_ERROR_BYTES) {
					chunks.push(chunk);
				}
			},
			onResponseEnd: () => end(null),
			onResponseError: (_controller, error) => end(error),
		},
	);
}

/** Why a request is given up that nobody wants any more: by this name the metrics know that it is no fault of the registry's. */
function unwanted(message: string): DOMException {
	return new DOMException(message, 'AbortError');
}
