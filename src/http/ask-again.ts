import type { Socket } from 'node:net';
import type { buildConnector, Dispatcher } from 'undici';
import { PassingHandler } from './passing-handler.ts';

/** Errors of connections that had brought an answer before. */
const ofKeptConnections = new WeakSet<Error>();

/** @returns the same connector, whose connections say of their errors whether they had brought an answer before */
export function noteKeptConnections(connect: buildConnector.connector): buildConnector.connector {
	return (options, callback) =>
		connect(options, (...[error, socket]: buildConnector.CallbackArgs) => {
			if (error === null) {
				socket.on('error', (cause: Error) => {
					if (socket.bytesRead > 0) {
						ofKeptConnections.add(cause);
					}
				});
				callback(error, socket);
			} else {
				callback(error, socket);
			}
		});
}

/**
 * A server may end a kept connection at any time, also just as a request comes. Such a request is sent once more, on a connection
 * of its own, where that can do no harm: it is a GET or HEAD, and not a byte of an answer has come. RFC 9112 section 9.3.1; nginx
 * and Envoy do the same.
 *
 * @param fresh makes a dispatcher without any connections
 * @param onAgain called for each request that is sent once more
 * @returns an interceptor for `compose`
 */
export function askAgain(fresh: () => Dispatcher, onAgain: () => void): Dispatcher.DispatcherComposeInterceptor {
	return (dispatch) => (options, handler) => {
		if (options.method !== 'GET' && options.method !== 'HEAD') {
			return dispatch(options, handler);
		}
		const again = (): void => {
			onAgain();
			const dispatcher = fresh();
			dispatcher.dispatch(options, handler);
			// Waits for the end of the answer.
			void dispatcher.close();
		};
		return dispatch(options, new FirstTry(handler, again));
	};
}

class FirstTry extends PassingHandler {
	readonly #again: () => void;
	#hasBegun = false;

	constructor(inner: Dispatcher.DispatchHandler, again: () => void) {
		super(inner);
		this.#again = again;
	}

	override onResponseStarted(): void {
		this.#hasBegun = true;
		super.onResponseStarted();
	}

	override onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
		if (!this.#hasBegun && !controller?.aborted && isOfKeptConnection(error)) {
			this.#again();
		} else {
			super.onResponseError(controller, error);
		}
	}
}

/** @returns whether an error is that of a connection which had brought an answer before; undici's own says how much it had read */
export function isOfKeptConnection(error: Error): boolean {
	const { code, socket } = error as { code?: unknown; socket?: Pick<Socket, 'bytesRead'> };
	return ofKeptConnections.has(error) || (code === 'UND_ERR_SOCKET' && (socket?.bytesRead ?? 0) > 0);
}
