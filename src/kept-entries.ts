import { LRUCache } from 'lru-cache';
import { lruCache } from './lru.ts';

/** A value with its times, in milliseconds on the clock of the cache that keeps it. */
export interface Entry<V> {
	value: V;
	freshUntil: number;
	/** Until when it may stand in for one that cannot be loaded. */
	usableUntil: number;
}

/** Of what may stand in, the part for what was asked for once. */
const NEWCOMERS_PART = 0.2;

/**
 * What a cache keeps: what may stand in apart from what may not, and what was asked for once apart from what was asked for again,
 * so that no number of other keys evicts what reliability rests on: docs/decisions/0007-cost-fairness-memory.md.
 */
export class KeptEntries<V> {
	readonly #passing: LRUCache<string, Entry<V>>;
	readonly #newcomers: LRUCache<string, Entry<V>>;
	readonly #established: LRUCache<string, Entry<V>>;

	/**
	 * @param max most entries of each of two kinds: those that may stand in, and those that may not
	 * @param maxBytes of each kind, by `sizeOf`; unbounded where undefined
	 */
	constructor({ max, maxBytes, sizeOf }: { max: number; maxBytes?: number; sizeOf?: (value: V) => number }) {
		const part = (of: number): LRUCache<string, Entry<V>> => {
			const most = Math.max(1, Math.floor(max * of));
			return maxBytes === undefined || sizeOf === undefined
				? lruCache(most)
				: new LRUCache({
						max: most,
						maxSize: Math.max(1, Math.floor(maxBytes * of)),
						sizeCalculation: ({ value }, key) => sizeOf(value) + key.length,
					});
		};
		this.#passing = part(1);
		this.#newcomers = part(NEWCOMERS_PART);
		this.#established = part(1 - NEWCOMERS_PART);
	}

	/** How many entries there are, fresh or not. */
	get size(): number {
		return this.#passing.size + this.#newcomers.size + this.#established.size;
	}

	get(key: string): Entry<V> | undefined {
		return this.#established.get(key) ?? this.#newcomers.get(key) ?? this.#passing.get(key);
	}

	/** A newcomer that is asked for again stays. */
	noteUse(key: string, entry: Entry<V>): void {
		if (this.#newcomers.has(key)) {
			this.#newcomers.delete(key);
			this.#established.set(key, entry);
		}
	}

	set(key: string, entry: Entry<V>): void {
		const isUsed = this.#newcomers.has(key) || this.#established.has(key);
		this.delete(key);
		const part = mayStandIn(entry) ? (isUsed ? this.#established : this.#newcomers) : this.#passing;
		part.set(key, entry);
	}

	delete(key: string): void {
		for (const part of [this.#passing, this.#newcomers, this.#established]) {
			part.delete(key);
		}
	}
}

/** @returns whether an entry may stand in once it is not fresh any more */
export function mayStandIn({ freshUntil, usableUntil }: Entry<unknown>): boolean {
	return usableUntil > freshUntil;
}
