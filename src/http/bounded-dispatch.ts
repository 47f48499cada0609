import type { EventEmitter } from 'node:events';
import type { Dispatcher } from 'undici';
import { overloadedError } from '../errors.ts';

export interface Bounds {
	/** Requests under way at once; not more than there may be connections. */
	concurrency: number;
	/** How many more may wait for one of them to end. */
	queue: number;
	/** How long one may wait, in milliseconds. */
	waitMs: number;
}

type Handler = Dispatcher.DispatchHandler;

interface Waiting {
	start(): void;
	fail(error: Error): void;
}

/**
 * Bounds what waits for an upstream, in number and in time. undici's own queue is bounded in neither: where downloads hold all its connections, whatever comes
 * next stays in it until one of them ends, even when nobody wants it any more.
 *
 * @returns an interceptor for `compose`. What it refuses fails with `overloadedError`.
 */
export function boundedDispatch({ concurrency, queue, waitMs }: Bounds): Dispatcher.DispatcherComposeInterceptor {
	let underWay = 0;
	const waiting = new Set<Waiting>();

	function release(): void {
		underWay--;
		const [next] = waiting;
		next?.start();
	}

	return (dispatch) => {
		function start(options: Dispatcher.DispatchOptions, handler: Handler): void {
			underWay++;
			dispatch(options, releasing(handler, release));
		}

		function wait(options: Dispatcher.DispatchOptions, handler: Handler): void {
			const { signal } = options as { signal?: AbortSignal | EventEmitter };
			const leave = (): void => {
				waiting.delete(entry);
				clearTimeout(timer);
				stopListening();
			};
			const entry: Waiting = {
				start() {
					leave();
					start(options, handler);
				},
				fail(error) {
					leave();
					// Without a controller, because there is nothing to control; undici's handlers do not look at it here.
					handler.onResponseError?.(undefined as never, error);
				},
			};
			const stopListening = onAbort(signal, (reason) => entry.fail(reason));
			const timer = setTimeout(() => entry.fail(overloadedError('registry')), waitMs);
			waiting.add(entry);
		}

		return (options, handler) => {
			if (underWay < concurrency) {
				start(options, handler);
			} else if (waiting.size < queue) {
				wait(options, handler);
			} else {
				handler.onResponseError?.(undefined as never, overloadedError('registry'));
			}
			return true;
		};
	};
}

/** undici takes a signal in either form. @returns a function that stops listening */
function onAbort(signal: AbortSignal | EventEmitter | null | undefined, act: (reason: Error) => void): () => void {
	if (signal == null) {
		return () => undefined;
	}
	if (signal instanceof AbortSignal) {
		const abort = (): void => act(signal.reason as Error);
		signal.addEventListener('abort', abort, { once: true });
		return () => signal.removeEventListener('abort', abort);
	}
	const abort = (): void => act(new Error('the client is gone'));
	signal.once('abort', abort);
	return () => signal.off('abort', abort);
}

/** @returns a handler that tells, once, when the request has ended in whichever way */
function releasing(handler: Handler, release: () => void): Handler {
	let hasEnded = false;
	const end = (): void => {
		if (!hasEnded) {
			hasEnded = true;
			release();
		}
	};
	return {
		onRequestStart: (...event) => handler.onRequestStart?.(...event),
		onRequestUpgrade: (...event) => handler.onRequestUpgrade?.(...event),
		onResponseStart: (...event) => handler.onResponseStart?.(...event),
		onResponseData: (...event) => handler.onResponseData?.(...event),
		onResponseEnd: (...event) => {
			end();
			handler.onResponseEnd?.(...event);
		},
		onResponseError: (...event) => {
			end();
			handler.onResponseError?.(...event);
		},
	};
}
