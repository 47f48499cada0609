import { LoadingCache, type Loaded } from '../../src/cache.ts';

/** A cache whose clock stands still until a test moves it. */
export function clocked<V>(max = 10): { cache: LoadingCache<V>; at: (ms: number) => void; stale: unknown[] } {
	let now = 0;
	const stale: unknown[] = [];
	const cache = new LoadingCache<V>({ max, now: () => now, onStale: (error) => stale.push(error) });
	return { cache, at: (ms) => (now = ms), stale };
}

/** A load that gives a value, to be kept for so long. */
export const fresh =
	<V>(value: V, freshMs = 100, staleMs?: number) =>
	async (): Promise<Loaded<V>> => ({ value, freshMs, staleMs });
/** One that fails. */
export const failing =
	(message = 'down') =>
	async (): Promise<never> => {
		throw new Error(message);
	};
