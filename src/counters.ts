import { lruCache } from './lru.ts';

/** How often something was done in a window. */
export interface Count {
	current: number;
	/** Milliseconds until the window ends. */
	ttl: number;
}

interface Window {
	count: number;
	/** Milliseconds since the epoch. */
	endsAt: number;
}

/** Of each of the two kinds; some 200 bytes each. */
const MAX_KEYS = 20_000;

/**
 * Counts in fixed windows, by key, in bounded memory: those who are over their limit are kept apart, so that no number of others
 * makes them forgotten before their window ends.
 */
export class Counters {
	readonly #counting = lruCache<Window>(MAX_KEYS);
	readonly #over = lruCache<Window>(MAX_KEYS);

	/** Counts one more. @param max beyond which a key is not forgotten */
	take(key: string, windowMs: number, max: number): Count {
		const now = Date.now();
		let window = this.#find(key, now);
		if (window === undefined) {
			this.#over.delete(key);
			window = { count: 0, endsAt: now + windowMs };
			this.#counting.set(key, window);
		}
		window.count++;
		if (window.count === Math.floor(max) + 1) {
			this.#counting.delete(key);
			this.#over.set(key, window);
		}
		return { current: window.count, ttl: window.endsAt - now };
	}

	/** @returns the count as it is */
	read(key: string): Count {
		const now = Date.now();
		const window = this.#find(key, now);
		return window === undefined ? { current: 0, ttl: 0 } : { current: window.count, ttl: window.endsAt - now };
	}

	/** Takes one back, if its window has not ended. */
	giveBack(key: string): void {
		const window = this.#find(key, Date.now());
		if (window !== undefined && window.count > 0) {
			window.count--;
		}
	}

	#find(key: string, now: number): Window | undefined {
		const window = this.#over.get(key) ?? this.#counting.get(key);
		return window !== undefined && now < window.endsAt ? window : undefined;
	}
}
