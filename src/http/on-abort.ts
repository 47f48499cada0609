import type { EventEmitter } from 'node:events';

/**
 * Acts when a request is not wanted any more.
 *
 * @param signal in either form that undici takes
 * @param act is told why
 * @returns a function that stops listening
 */
export function onAbort(signal: AbortSignal | EventEmitter | null | undefined, act: (reason: Error) => void): () => void {
	if (signal == null) {
		return () => undefined;
	}
	if (signal instanceof AbortSignal) {
		const abort = (): void => act(signal.reason as Error);
		signal.addEventListener('abort', abort, { once: true });
		return () => signal.removeEventListener('abort', abort);
	}
	const abort = (reason?: Error): void => act(reason ?? new Error('the client is gone'));
	signal.once('abort', abort);
	return () => signal.off('abort', abort);
}
