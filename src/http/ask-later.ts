import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { RegistryError } from '../errors.ts';
import { FairQueue } from '../fair-queue.ts';
import type { BoundedOptions } from './bounded-dispatch.ts';
import { onAbort } from './on-abort.ts';
import { PassingHandler } from './passing-handler.ts';
import { retryAfterSeconds } from './retry-after.ts';

/** What a request says, beside undici's own options and `BoundedOptions`, that is worth a wait. */
export interface LaterOptions extends BoundedOptions {
	mayWait?: boolean;
}

export interface Patience {
	/** Longest `Retry-After` that is waited for, in milliseconds; 0 for none. */
	longestMs: number;
	/** When the second answer has to have begun, in milliseconds after the request; otherwise the first counts. */
	budgetMs: number;
	/** How many may wait at once. */
	places: number;
}

export interface AskLater {
	/** For `compose`, around what bounds the dispatcher: a wait holds no connection. */
	interceptor: Dispatcher.DispatcherComposeInterceptor;
	/** How many requests have waited and were asked once more. */
	readonly count: number;
}

/**
 * For how long nobody waits any more once a second answer of the upstream was a refusal too, or did not come: it is an outage
 * then, and whoever waits would only be one more request to it.
 */
const OUTAGE_MS = 10_000;

/**
 * Where an upstream, or the bound on requests to it, refuses with 429 or 503 and says that it will not be long, a request that is
 * worth it waits so long and is sent once more; whatever comes then is the answer. For clients that do not ask again themselves.
 *
 * It may not make an outage worse: few wait at once, shared by client; each once; none that nobody wants any more; and none for a
 * while after one that has waited in vain.
 */
export function askLater({ longestMs, budgetMs, places }: Patience): AskLater {
	const waiting = new FairQueue({ capacity: places, queue: 0, refusal: () => new Error('never') });
	const state = { waiting, longestMs, budgetMs, outageUntil: 0, count: 0 };
	return {
		interceptor: (dispatch) => (options, handler) =>
			(options as LaterOptions).mayWait === true
				? dispatch(options, new Patient(state, dispatch, options, handler))
				: dispatch(options, handler),
		get count() {
			return state.count;
		},
	};
}

interface State extends Pick<Patience, 'longestMs' | 'budgetMs'> {
	waiting: FairQueue;
	outageUntil: number;
	count: number;
}

/** Hands on what comes of a request, except a refusal after which it is sent again. */
class Patient extends PassingHandler {
	readonly #state: State;
	readonly #dispatch: Dispatcher['dispatch'];
	readonly #options: Dispatcher.DispatchOptions & LaterOptions;
	readonly #startedAt = performance.now();
	/** The first answer, where it is a refusal that is worth a wait. */
	#refusal: { waitMs: number; tell: () => void } | undefined;

	constructor(state: State, dispatch: Dispatcher['dispatch'], options: Dispatcher.DispatchOptions, inner: Dispatcher.DispatchHandler) {
		super(inner);
		this.#state = state;
		this.#dispatch = dispatch;
		this.#options = options;
	}

	override onResponseStart(
		controller: Dispatcher.DispatchController,
		status: number,
		headers: IncomingHttpHeaders,
		message?: string,
	): void {
		const waitMs = isRefusal(status) ? this.#placeFor(headers['retry-after']) : undefined;
		if (waitMs === undefined) {
			super.onResponseStart(controller, status, headers, message);
			return;
		}
		const told: IncomingHttpHeaders = { 'retry-after': headers['retry-after'] };
		const tell = (): void => {
			this.inner.onResponseStart?.(controller, status, told, message);
			this.inner.onResponseEnd?.(controller, {});
		};
		this.#refusal = { waitMs, tell };
	}

	override onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
		if (this.#refusal === undefined) {
			super.onResponseData(controller, chunk);
		}
	}

	override onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
		if (this.#refusal === undefined) {
			super.onResponseEnd(controller, trailers);
		} else {
			this.#wait(this.#refusal);
		}
	}

	override onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
		// What bounds the dispatcher refuses in our own words, before there is a controller.
		if (this.#refusal === undefined && error instanceof RegistryError && isRefusal(error.statusCode)) {
			const waitMs = this.#placeFor(error.headers['retry-after']);
			if (waitMs !== undefined) {
				this.#wait({ waitMs, tell: () => this.inner.onResponseError?.(controller, error) });
				return;
			}
		}
		// Of a refusal, the status is enough.
		if (this.#refusal !== undefined && !controller.aborted) {
			this.#wait(this.#refusal);
			return;
		}
		if (this.#refusal !== undefined) {
			this.#state.waiting.release(this.#client, 1);
		}
		super.onResponseError(controller, error);
	}

	get #client(): string {
		return this.#options.client ?? '';
	}

	/** @returns how long to wait, in a place that has been taken; undefined where it is not worth it */
	#placeFor(retryAfter: string | string[] | undefined): number | undefined {
		const seconds = retryAfterSeconds(retryAfter, Date.now());
		const waitMs = seconds === undefined ? Infinity : Math.max(1, Number(seconds)) * 1000;
		const { waiting, longestMs, budgetMs, outageUntil } = this.#state;
		const now = performance.now();
		return waitMs <= longestMs && now + waitMs < this.#startedAt + budgetMs && now >= outageUntil && waiting.take(this.#client, 1)
			? waitMs
			: undefined;
	}

	#wait({ waitMs, tell }: { waitMs: number; tell: () => void }): void {
		const stopListening = onAbort(this.#options.signal, (reason) => {
			clearTimeout(timer);
			this.#state.waiting.release(this.#client, 1);
			this.inner.onResponseError?.(undefined as never, reason);
		});
		const timer = setTimeout(() => {
			stopListening();
			this.#state.waiting.release(this.#client, 1);
			this.#askOnceMore(tell);
		}, waitMs);
	}

	#askOnceMore(tell: () => void): void {
		const state = this.#state;
		state.count++;
		const inner = this.inner;
		// Ends the second request, also where it waits for a connection.
		const ending = new AbortController();
		const stopListening = onAbort(this.#options.signal, (reason) => ending.abort(reason));
		let controllerOfSecond: Dispatcher.DispatchController | undefined;
		let isLate = false;
		const timer = setTimeout(
			() => {
				isLate = true;
				ending.abort(new DOMException('the second answer did not come in time', 'TimeoutError'));
				controllerOfSecond?.abort(ending.signal.reason as Error);
			},
			this.#startedAt + state.budgetMs - performance.now(),
		);
		const begin = (isRefused: boolean): void => {
			clearTimeout(timer);
			stopListening();
			if (isRefused) {
				state.outageUntil = performance.now() + OUTAGE_MS;
			}
		};
		const options = { ...this.#options, signal: ending.signal } as Dispatcher.DispatchOptions;
		this.#dispatch(options, {
			onRequestStart: (controller, context) => {
				controllerOfSecond = controller;
				inner.onRequestStart?.(controller, context);
			},
			onRequestUpgrade: (...event) => inner.onRequestUpgrade?.(...event),
			onResponseStarted: () => inner.onResponseStarted?.(),
			onResponseStart: (controller, status, headers, message) => {
				begin(isRefusal(status));
				inner.onResponseStart?.(controller, status, headers, message);
			},
			onResponseData: (controller, chunk) => inner.onResponseData?.(controller, chunk),
			onResponseEnd: (controller, trailers) => inner.onResponseEnd?.(controller, trailers),
			onResponseError: (controller, error) => {
				// Not where our own bound refused or did not let it out: that share is full, and the upstream has said nothing.
				begin(isLate && controllerOfSecond !== undefined);
				if (isLate) {
					tell();
				} else {
					inner.onResponseError?.(controller, error);
				}
			},
		});
	}
}

function isRefusal(status: number): boolean {
	return status === 429 || status === 503;
}
