import { RegistryError } from './errors.ts';

/** How many are asked at the same time. */
const AT_ONCE = 6;

/**
 * Asks of each, a few at a time, and stops at the first hit, or where the registry asks for fewer requests.
 *
 * @param ask is given up by the signal that it gets
 * @returns undefined where all of them were asked in vain
 * @throws what the first that failed threw, where none of the others was a hit: then nobody knows
 */
export async function firstThat(
	all: readonly string[],
	ask: (each: string, signal: AbortSignal) => Promise<boolean>,
	signal: AbortSignal,
): Promise<string | undefined> {
	const stop = new AbortController();
	const signals = AbortSignal.any([signal, stop.signal]);
	const rest = all.values();
	let found: string | undefined;
	let failure: unknown;
	async function askInTurn(): Promise<void> {
		// The iterator is shared, so that each is asked once.
		for (const each of rest) {
			try {
				if (await ask(each, signals)) {
					found ??= each;
					stop.abort(new DOMException('it was found', 'AbortError'));
				}
			} catch (error) {
				failure ??= error;
				if (isPlea(error)) {
					stop.abort(error);
				}
			}
			if (signals.aborted) {
				return;
			}
		}
	}
	await Promise.all(Array.from({ length: AT_ONCE }, askInTurn));
	if (found === undefined && failure !== undefined) {
		throw failure as Error;
	}
	return found;
}

/** Whether an upstream asks to be left alone for a while. */
function isPlea(error: unknown): boolean {
	return error instanceof RegistryError && (error.statusCode === 429 || error.statusCode === 503);
}
