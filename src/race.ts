import { RegistryError } from './errors.ts';

/* Loads of one value side by side, and who waits for them: `LoadingCache`. */

/** All loads of one key that run, and all who wait for the first of them. */
export interface Race<V> {
	promise: Promise<V>;
	resolve(value: V): void;
	reject(error: unknown): void;
	loads: Set<AbortController>;
	/** When the last load began. */
	startedAt: number;
	/** How many wait; those who cannot go away are never taken off. */
	waiting: number;
	/** Those who came later, in their order: whose load begins where another's is refused for its own sake. */
	others: Waiter[];
	/** Until the next of them begins one too, because there is no answer yet. */
	patience: NodeJS.Timeout | undefined;
	/** False once the key was forgotten while it loads, or nobody waited any more. */
	keep: boolean;
}

/** Who waits for a load that another began. */
export interface Waiter {
	/** Begins a load of its own, for all who wait. */
	begin(): void;
	hasGone: boolean;
}

/**
 * How long a load is waited for where an old value could stand in, or joined by others, in milliseconds: an answer takes some
 * 100, and clients wait 15,000.
 */
export const PATIENCE_MS = 2000;
/** Loads of one key at the same time, the first ones having got no answer. */
export const MAX_LOADS = 3;

/** @returns the reason for who waited, and has gone */
export function nobodyWaits(): DOMException {
	return new DOMException('nobody waits any more', 'AbortError');
}

/** Takes the next who is still there. */
export function nextOf(others: Waiter[]): Waiter | undefined {
	let next = others.shift();
	while (next?.hasGone === true) {
		next = others.shift();
	}
	return next;
}

/** A limit that a client has met, and a share that it has used up, are nothing to any other. */
export function isOfOneClient(error: unknown): boolean {
	return error instanceof RegistryError && (error.limit ?? error.overloaded) !== undefined;
}

/** A refusal is an answer, and the last word; that there are too many requests is not. */
export function isOutage(error: unknown): boolean {
	return !(error instanceof RegistryError) || error.statusCode >= 500 || error.statusCode === 429;
}
