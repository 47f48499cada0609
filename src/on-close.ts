import type { EventEmitter } from 'node:events';

/**
 * What waits for a connection's end is kept with the connection itself. In a WeakMap, which is old, it would survive every
 * collection of the young generation, with the whole request.
 */
const ACTS = Symbol('acts on close');

/** Something that emits "close" once, and may say that it has. */
export type Closing = Pick<EventEmitter, 'once'> & { readonly destroyed?: boolean; [ACTS]?: (() => void)[] };

/**
 * Calls `act` when a connection closes, at once where it has: it does not emit that again, and what is held for it would be held
 * for ever. Where there is none, never. One listener for all who wait with one connection: Node takes eleven for a leak, and
 * warns.
 */
export function onClose(connection: Closing | undefined, act: () => void): void {
	if (connection === undefined) {
		return;
	}
	if (connection.destroyed === true) {
		act();
		return;
	}
	if (connection[ACTS] !== undefined) {
		connection[ACTS].push(act);
		return;
	}
	const acts = [act];
	connection[ACTS] = acts;
	connection.once('close', () => acts.forEach((each) => each()));
}
