import { LRUCache } from 'lru-cache';

/**
 * An LRU cache that takes memory as it fills. By its own `max`, lru-cache makes all its tables at once: for the 500,000 entries
 * that the caches of this service may have together, that took 20 MB, and a tenth of the start.
 *
 * @param max most entries
 * @param options those of times
 */
export function lruCache<V extends object | string | number | true>(
	max: number,
	options: Pick<LRUCache.OptionsMaxLimit<string, V, unknown>, 'ttl' | 'ttlResolution'> = {},
): LRUCache<string, V> {
	return new LRUCache<string, V>({ ...options, maxSize: max, sizeCalculation: () => 1 });
}
