import { LRUCache } from 'lru-cache';

/** What a load gives: the value, how long it is fresh, and for how much longer it may stand in when loading it again fails or takes too long. Milliseconds. */
export interface Loaded<V> {
	value: V;
	freshMs: number;
	staleMs?: number;
}

export interface CacheOptions {
	/** Most entries. */
	max: number;
	/** Milliseconds on a clock that never goes back; tests give their own. */
	now?: () => number;
	/** Called when a stale value is served because loading failed, or takes too long. */
	onStale?: (error: unknown) => void;
}

export interface CacheCounts {
	hits: number;
	misses: number;
	stale: number;
}

interface Entry<V> {
	value: V;
	freshUntil: number;
	usableUntil: number;
}

interface Loading<V> {
	promise: Promise<V>;
	/** False once the key was forgotten while it loads. */
	keep: boolean;
}

/** How long a load is waited for where an old value could stand in, in milliseconds. */
const PATIENCE_MS = 2000;

/**
 * An LRU cache that loads what it lacks: concurrent loads of one key are one, and a value that has grown old can stand in while its source is down.
 * Keys must contain everything that the value depends on, the caller above all.
 */
export class LoadingCache<V> {
	readonly counts: CacheCounts = { hits: 0, misses: 0, stale: 0 };
	readonly #entries: LRUCache<string, Entry<V>>;
	readonly #loading = new Map<string, Loading<V>>();
	readonly #now: () => number;
	readonly #onStale: ((error: unknown) => void) | undefined;

	constructor(options: CacheOptions) {
		this.#entries = new LRUCache({ max: options.max });
		this.#now = options.now ?? (() => performance.now());
		this.#onStale = options.onStale;
	}

	/** How many entries there are, fresh or not. */
	get size(): number {
		return this.#entries.size;
	}

	/** @returns the fresh value of a key, without loading; undefined where there is none. */
	peek(key: string): V | undefined {
		const entry = this.#entries.get(key);
		return entry !== undefined && this.#now() < entry.freshUntil ? entry.value : undefined;
	}

	/**
	 * @param load is called at most once at a time for a key; what it throws reaches every caller that waits, unless an old value may stand in
	 * @returns the fresh value, from memory where there is one; an old one that may stand in where loading fails, or takes more than two seconds
	 */
	async get(key: string, load: () => Promise<Loaded<V>>): Promise<V> {
		const entry = this.#entries.get(key);
		if (entry !== undefined && this.#now() < entry.freshUntil) {
			this.counts.hits++;
			return entry.value;
		}
		let loading = this.#loading.get(key);
		if (loading !== undefined) {
			this.counts.hits++;
		} else {
			this.counts.misses++;
			loading = { keep: true } as Loading<V>;
			this.#loading.set(key, loading);
			loading.promise = this.#load(key, entry, loading, load);
		}
		return entry !== undefined && this.#now() < entry.usableUntil ? this.#loadOrStale(loading, entry) : loading.promise;
	}

	/** Drops a key, so that the next `get` loads it; what is loading now is not kept either. */
	forget(key: string): void {
		this.#entries.delete(key);
		const loading = this.#loading.get(key);
		if (loading !== undefined) {
			loading.keep = false;
			this.#loading.delete(key);
		}
	}

	/** A load that takes its time is as good as a failure to those who can do with an old value. It goes on for the next. */
	#loadOrStale(loading: Loading<V>, old: Entry<V>): Promise<V> {
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => {
				if (loading.keep && this.#now() < old.usableUntil) {
					this.counts.stale++;
					this.#onStale?.(new Error(`no answer for ${PATIENCE_MS / 1000} s`));
					resolve(old.value);
				}
			}, PATIENCE_MS);
			loading.promise.then(resolve, reject).finally(() => clearTimeout(timer));
		});
	}

	async #load(key: string, old: Entry<V> | undefined, loading: Loading<V>, load: () => Promise<Loaded<V>>): Promise<V> {
		try {
			const { value, freshMs, staleMs = 0 } = await load();
			const now = this.#now();
			if (freshMs > 0 && loading.keep) {
				this.#entries.set(key, { value, freshUntil: now + freshMs, usableUntil: now + freshMs + staleMs });
			}
			return value;
		} catch (error) {
			if (old !== undefined && loading.keep && this.#now() < old.usableUntil) {
				this.counts.stale++;
				this.#onStale?.(error);
				return old.value;
			}
			throw error;
		} finally {
			// After `forget`, the key may be loading anew already.
			if (loading.keep) {
				this.#loading.delete(key);
			}
		}
	}
}
