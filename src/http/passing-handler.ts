import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';

type Handler = Dispatcher.DispatchHandler;

/**
 * Passes on what undici tells of a request; interceptors change what they care for. undici's own `DecoratorHandler` is
 * deprecated, and asserts what one that sends a request again breaks.
 */
export class PassingHandler implements Handler {
	readonly inner: Handler;

	constructor(inner: Handler) {
		this.inner = inner;
	}

	onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
		this.inner.onRequestStart?.(controller, context);
	}

	onRequestUpgrade(...event: Parameters<NonNullable<Handler['onRequestUpgrade']>>): void {
		this.inner.onRequestUpgrade?.(...event);
	}

	/** Called at the first byte of an answer. */
	onResponseStarted(): void {
		this.inner.onResponseStarted?.();
	}

	onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders, message?: string): void {
		this.inner.onResponseStart?.(controller, status, headers, message);
	}

	onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
		this.inner.onResponseData?.(controller, chunk);
	}

	onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
		this.inner.onResponseEnd?.(controller, trailers);
	}

	onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
		this.inner.onResponseError?.(controller, error);
	}
}
