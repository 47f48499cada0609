import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';

export interface SmallRequest {
	origin: string;
	/** Path and query. */
	path: string;
	method?: 'GET' | 'HEAD';
	headers: Record<string, string>;
	/** Bytes of the body that are taken at the most. */
	maxBytes: number;
	/** Asked for each piece of the body; where there is no room for it, the answer is cut. */
	hasRoomFor?: (length: number) => boolean;
	signal?: AbortSignal;
	/** What stands for the client where connections are shared out; the service's own business where there is none. */
	client?: string;
	/** Whether it is worth a wait where the upstream says to come again soon: `askLater`. */
	mayWait?: boolean;
}

export interface SmallAnswer {
	status: number;
	headers: IncomingHttpHeaders;
	/** The whole body; empty where it would have been longer than `maxBytes`, which `isCut` tells. */
	body: Buffer;
	isCut: boolean;
}

/**
 * One request whose answer is wanted whole: undici's dispatch without the stream around it, which costs a third of a small request.
 *
 * @param dispatcher its time-outs bound the wait
 * @throws what undici reports, or the signal's reason
 */
export function smallRequest(
	dispatcher: Dispatcher,
	{ origin, path, method = 'GET', headers, maxBytes, hasRoomFor, signal, client, mayWait }: SmallRequest,
): Promise<SmallAnswer> {
	return new Promise((resolve, reject) => {
		if (signal?.aborted === true) {
			reject(signal.reason as Error);
			return;
		}
		const answer: SmallAnswer = { status: 0, headers: {}, body: Buffer.alloc(0), isCut: false };
		const chunks: Buffer[] = [];
		let length = 0;
		let stop: (() => void) | undefined;
		const cut = (controller: Dispatcher.DispatchController): void => {
			answer.isCut = true;
			resolve(answer);
			controller.abort(new Error('the answer is longer than is wanted'));
		};

		dispatcher.dispatch(
			// The last three are for what is composed on the dispatcher; undici's dispatch itself knows none of them.
			{ origin, path, method, headers, signal, client, mayWait } as Dispatcher.DispatchOptions,
			{
				onRequestStart(controller) {
					// It may start twice: ask-again.ts, ask-later.ts.
					stop?.();
					if (signal !== undefined) {
						const abort = (): void => controller.abort(signal.reason as Error);
						// It may have waited for a connection until nobody wanted it any more.
						if (signal.aborted) {
							abort();
							return;
						}
						signal.addEventListener('abort', abort, { once: true });
						stop = () => signal.removeEventListener('abort', abort);
					}
				},
				onResponseStart(controller, status, responseHeaders) {
					answer.status = status;
					answer.headers = responseHeaders;
					if (method !== 'HEAD' && Number(responseHeaders['content-length'] ?? 0) > maxBytes) {
						cut(controller);
					}
				},
				onResponseData(controller, chunk) {
					length += chunk.length;
					if (length > maxBytes || hasRoomFor?.(chunk.length) === false) {
						cut(controller);
					} else {
						chunks.push(chunk);
					}
				},
				onResponseEnd() {
					stop?.();
					answer.body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
					resolve(answer);
				},
				onResponseError(_controller, error) {
					stop?.();
					// After a cut, this settles nothing any more.
					reject(error);
				},
			},
		);
	});
}
