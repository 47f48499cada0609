import type { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { overloadedError } from '../errors.ts';
import { FairQueue } from '../fair-queue.ts';
import { onAbort } from './on-abort.ts';
import { PassingHandler } from './passing-handler.ts';

export interface Bounds {
	/** Requests under way at once; not more than there may be connections. */
	concurrency: number;
	/** How many more may wait for one of them to end. */
	queue: number;
	/** How long one may wait, in milliseconds. */
	waitMs: number;
}

/** What a request may say beside undici's own options. */
export interface BoundedOptions {
	/** What stands for the client in shares, as in `FairQueue`. */
	client?: string;
	/** Ends the wait. */
	signal?: AbortSignal | EventEmitter;
}

/**
 * What a download has to move, on average, to keep its connection while others wait for one: bytes in a millisecond (4 KB a
 * second: half of what a GPRS link does), after a time of grace, which is also the most that may be in stock. A piece of a body
 * is 64 KB, which at that rate is 16 s.
 */
const MIN_RATE = 4;
const GRACE_MS = 20_000;

/** A request under way. */
interface Running {
	client: string;
	/** By when the next byte has to come, on the clock of `performance.now`; what was moved already counts. */
	due: number;
	/** Undefined until the request is out. */
	controller: Dispatcher.DispatchController | undefined;
	/** Whether the answer has begun: what waits for headers has its own time-out. */
	isDownload: boolean;
}

/**
 * Bounds what waits for an upstream, in number and in time, and shares it between clients. undici's own queue is bounded in
 * neither: where downloads hold all its connections, whatever comes next stays in it until one of them ends, even when nobody
 * wants it any more. A download that moves next to nothing ends when somebody waits for its connection.
 *
 * @returns an interceptor for `compose`, which may be that of several dispatchers: they share the bound. What it refuses fails
 * with `overloadedError`. Options of a request: `BoundedOptions`.
 */
export function boundedDispatch({ concurrency, queue, waitMs }: Bounds): Dispatcher.DispatcherComposeInterceptor {
	const running = new Set<Running>();
	const connections = new FairQueue({
		capacity: concurrency,
		queue,
		waitMs,
		refusal: () => overloadedError('registry'),
		onShort: ({ client }, free) => makeWay(running, free > 0 ? client : undefined),
	});

	return (dispatch) => (options, handler) => {
		const { client = '', signal } = options as BoundedOptions;
		let leave: (() => void) | undefined = undefined;
		let stopListening: (() => void) | undefined = undefined;
		const enter = (): void => {
			leave = connections.enter({
				client,
				units: 1,
				isKnown: true,
				onTurn: () => {
					stopListening?.();
					const own: Running = { client, due: Infinity, controller: undefined, isDownload: false };
					running.add(own);
					dispatch(
						options,
						new Watched(handler, own, () => {
							running.delete(own);
							// The set's old tables keep what they held, until the next full collection: src/passing-map.ts.
							own.controller = undefined;
							connections.release(client, 1);
						}),
					);
				},
				// Without a controller, because there is nothing to control; undici's handlers do not look at it here.
				onRefused: (error) => {
					stopListening?.();
					handler.onResponseError?.(undefined as never, error);
				},
			});
		};
		enter();
		if (leave !== undefined) {
			stopListening = onAbort(signal, (reason) => {
				leave?.();
				handler.onResponseError?.(undefined as never, reason);
			});
		}
		return true;
	};
}

/** Ends the download that is most overdue, if one is. @param client whose it has to be; anybody's where undefined */
function makeWay(running: Set<Running>, client: string | undefined): void {
	let slowest: Running | undefined;
	for (const one of running) {
		if (one.isDownload && (client === undefined || one.client === client) && one.due < (slowest?.due ?? performance.now())) {
			slowest = one;
		}
	}
	slowest?.controller?.abort(new DOMException('a download that moved next to nothing gave way to others', 'AbortError'));
}

/** Notes what a request moves, and tells, once, when it has ended in whichever way. */
class Watched extends PassingHandler {
	readonly #own: Running;
	#release: (() => void) | undefined;

	constructor(inner: Dispatcher.DispatchHandler, own: Running, release: () => void) {
		super(inner);
		this.#own = own;
		this.#release = release;
	}

	override onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
		this.#own.controller = controller;
		super.onRequestStart(controller, context);
	}

	override onResponseStart(
		controller: Dispatcher.DispatchController,
		status: number,
		headers: IncomingHttpHeaders,
		message?: string,
	): void {
		this.#own.isDownload = true;
		this.#own.due = performance.now() + GRACE_MS;
		super.onResponseStart(controller, status, headers, message);
	}

	override onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
		const now = performance.now();
		this.#own.due = Math.min(Math.max(this.#own.due, now) + chunk.length / MIN_RATE, now + GRACE_MS);
		super.onResponseData(controller, chunk);
	}

	override onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
		this.#end();
		super.onResponseEnd(controller, trailers);
	}

	override onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
		this.#end();
		super.onResponseError(controller, error);
	}

	#end(): void {
		const release = this.#release;
		this.#release = undefined;
		release?.();
	}
}
