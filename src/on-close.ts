import type { EventEmitter } from 'node:events';

/** What waits for a connection's end is kept with the connection itself. In a WeakMap, which is old, it would survive every collection of the young generation, with the whole request. */
const ACTS = Symbol('acts on close');

/** Something that emits "close" once. */
export type Closing = Pick<EventEmitter, 'once'> & { [ACTS]?: (() => void)[] };

/** Calls `act` when a connection closes; where there is none, never. One listener for all who wait with one connection: Node takes eleven for a leak, and warns. */
export function onClose(connection: Closing | undefined, act: () => void): void {
	if (connection === undefined) {
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
