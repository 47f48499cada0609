import { KeptEntries, mayStandIn, type Entry } from './kept-entries.ts';
import { onClose, type Closing } from './on-close.ts';
import { PassingMap } from './passing-map.ts';
import { isOfOneClient, isOutage, MAX_LOADS, nextOf, nobodyWaits, PATIENCE_MS, type Race, type Waiter } from './race.ts';

/**
 * What a load gives: the value, how long it is fresh, and for how much longer it may stand in when loading it again fails or
 * takes too long. Milliseconds.
 */
export interface Loaded<V> {
	value: V;
	freshMs: number;
	staleMs?: number;
}

/** What a load is told. */
export interface Loading {
	/**
	 * Whether there was a value for the key before, which may be old, of those that may stand in: that something is not there is
	 * no knowledge that helps anybody.
	 */
	readonly isKnown: boolean;
	/** Aborted when nobody waits for the value any more, or another load was faster. */
	readonly signal: AbortSignal;
}

export interface CacheOptions<V> {
	/** Most entries of each of two kinds: those that may stand in, and those that may not. */
	max: number;
	/** Most bytes of each kind, by `sizeOf`; unbounded where undefined. */
	maxBytes?: number;
	/** About how many bytes a value takes; needed with `maxBytes`. */
	sizeOf?: (value: V) => number;
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

/**
 * An LRU cache that loads what it lacks: concurrent loads of one key are one, and a value that has grown old can stand in while
 * its source is down. Keys must contain everything that the value depends on, the caller above all.
 */
export class LoadingCache<V> {
	readonly counts: CacheCounts = { hits: 0, misses: 0, stale: 0 };
	readonly #entries: KeptEntries<V>;
	readonly #races = new PassingMap<Race<V>>();
	readonly #now: () => number;
	readonly #onStale: ((error: unknown) => void) | undefined;

	constructor(options: CacheOptions<V>) {
		this.#entries = new KeptEntries(options);
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
	 * @param load is called at most once at a time for a key, unless it has had no answer for two seconds; what it throws reaches
	 * every caller that waits, unless an old value may stand in, or it is about the one who began
	 * @param connection emits "close" when its client does not wait any more
	 * @returns the fresh value, from memory where there is one; an old one that may stand in where loading fails other than by a
	 * refusal, or takes more than two seconds
	 */
	async get(key: string, load: (loading: Loading) => Promise<Loaded<V>>, connection?: Closing): Promise<V> {
		const entry = this.#entries.get(key);
		if (entry !== undefined && this.#now() < entry.freshUntil) {
			this.counts.hits++;
			this.#entries.noteUse(key, entry);
			return entry.value;
		}
		if (connection?.destroyed === true) {
			throw nobodyWaits();
		}
		let race = this.#races.get(key);
		if (race === undefined) {
			race = { ...Promise.withResolvers<V>(), loads: new Set(), startedAt: 0, waiting: 0, others: [], patience: undefined, keep: true };
			// Whoever waits handles it; nobody may be left to.
			race.promise.catch(() => undefined);
			this.#races.set(key, race);
		}
		const refused = Promise.withResolvers<never>();
		const waiter: Waiter = { begin: () => void this.#load(key, entry, race, load, refused.reject), hasGone: false };
		if (race.loads.size === 0 || (race.loads.size < MAX_LOADS && this.#now() - race.startedAt >= PATIENCE_MS)) {
			this.counts.misses++;
			waiter.begin();
		} else {
			this.counts.hits++;
			race.others.push(waiter);
			this.#bePatient(race);
		}
		race.waiting++;
		onClose(connection, () => {
			waiter.hasGone = true;
			this.#leave(key, race);
		});
		const isUsable = entry !== undefined && this.#now() < entry.usableUntil;
		return Promise.race([isUsable ? this.#winnerOrStale(race, entry) : race.promise, refused.promise]);
	}

	/** Drops a key, so that the next `get` loads it; what is loading now is not kept either. */
	forget(key: string): void {
		this.#entries.delete(key);
		const race = this.#races.get(key);
		if (race !== undefined) {
			race.keep = false;
			this.#races.delete(key);
		}
	}

	/** A load that takes its time is as good as a failure to those who can do with an old value. It goes on for the next. */
	#winnerOrStale(race: Race<V>, old: Entry<V>): Promise<V> {
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => {
				if (race.keep && this.#now() < old.usableUntil) {
					this.counts.stale++;
					this.#onStale?.(new Error(`no answer for ${PATIENCE_MS / 1000} s`));
					// Whoever has the old value goes, and must not end what is for the next: the load's own time-outs do.
					race.waiting++;
					resolve(old.value);
				}
			}, PATIENCE_MS);
			race.promise.then(resolve, reject).finally(() => clearTimeout(timer));
		});
	}

	/** Whoever waits for a load that another began, which may hang, does so for as long as anybody does. */
	#bePatient(race: Race<V>): void {
		race.patience ??= setTimeout(
			() => {
				race.patience = undefined;
				const next = race.loads.size < MAX_LOADS ? nextOf(race.others) : undefined;
				if (next !== undefined) {
					this.counts.misses++;
					next.begin();
					this.#bePatient(race);
				}
			},
			Math.max(0, race.startedAt + PATIENCE_MS - this.#now()),
		);
	}

	#leave(key: string, race: Race<V>): void {
		if (--race.waiting === 0 && race.loads.size > 0) {
			this.#end(key, race);
			race.keep = false;
			race.reject(nobodyWaits());
		}
	}

	/** Ends all loads of a race, and lets the next `get` begin another. */
	#end(key: string, race: Race<V>): void {
		// After `forget`, the key may be loading anew already.
		if (this.#races.get(key) === race) {
			this.#races.delete(key);
		}
		clearTimeout(race.patience);
		const loads = [...race.loads];
		race.loads.clear();
		for (const controller of loads) {
			controller.abort(new DOMException('the value is not wanted any more', 'AbortError'));
		}
	}

	/** @param refuse tells the one who began it alone */
	async #load(
		key: string,
		old: Entry<V> | undefined,
		race: Race<V>,
		load: (loading: Loading) => Promise<Loaded<V>>,
		refuse: (error: unknown) => void,
	): Promise<void> {
		const controller = new AbortController();
		race.loads.add(controller);
		race.startedAt = this.#now();
		try {
			const { value, freshMs, staleMs = 0 } = await load({ isKnown: old !== undefined && mayStandIn(old), signal: controller.signal });
			// Of several loads, the first that has an answer.
			if (race.loads.delete(controller)) {
				this.#end(key, race);
				const now = this.#now();
				if (freshMs > 0 && race.keep) {
					this.#entries.set(key, { value, freshUntil: now + freshMs, usableUntil: now + freshMs + staleMs });
				}
				race.resolve(value);
			}
		} catch (error) {
			if (!race.loads.delete(controller) || (isOutage(error) && race.loads.size > 0)) {
				return;
			}
			const isUsable = isOutage(error) && old !== undefined && race.keep && this.#now() < old.usableUntil;
			const next = isOfOneClient(error) && !isUsable ? nextOf(race.others) : undefined;
			if (next !== undefined) {
				refuse(error);
				next.begin();
				return;
			}
			this.#end(key, race);
			if (isUsable) {
				this.counts.stale++;
				this.#onStale?.(error);
				race.resolve(old.value);
				return;
			}
			if (!isOutage(error) && race.keep) {
				this.#entries.delete(key);
			}
			race.reject(error);
		}
	}
}
