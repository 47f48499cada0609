import type { EventEmitter } from 'node:events';

/** Something that emits "close" once. */
export type Closing = Pick<EventEmitter, 'once'>;

const actsOf = new WeakMap<Closing, (() => void)[]>();

/** Calls `act` when a connection closes; where there is none, never. One listener for all who wait with one connection: Node takes eleven for a leak, and warns. */
export function onClose(connection: Closing | undefined, act: () => void): void {
	if (connection === undefined) {
		return;
	}
	const acts = actsOf.get(connection);
	if (acts !== undefined) {
		acts.push(act);
		return;
	}
	const first = [act];
	actsOf.set(connection, first);
	connection.once('close', () => first.forEach((each) => each()));
}
