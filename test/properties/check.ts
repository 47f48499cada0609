import fc, { type IAsyncPropertyWithHooks, type IPropertyWithHooks } from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../src/errors.ts';

/**
 * How many cases each property is tried with. `FUZZ_RUNS=1000000 node --test 'test/properties/*.test.ts'` looks further; what a failure prints
 * (seed and path) goes into `FUZZ_SEED` and `FUZZ_PATH` to see it again.
 */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1000);
const SEED = process.env['FUZZ_SEED'] === undefined ? undefined : Number(process.env['FUZZ_SEED']);
const PATH = process.env['FUZZ_PATH'];

/** How a property is tried, with the given share of the cases, at least one. */
export function runs(share = 1): { numRuns: number; seed?: number; path?: string } {
	return {
		numRuns: Math.max(1, Math.ceil(RUNS * share)),
		...(SEED === undefined ? {} : { seed: SEED }),
		...(PATH === undefined ? {} : { path: PATH }),
	};
}

/**
 * A test of a property, after each case of which no prototype may have changed.
 *
 * @param share how many of the cases are enough, for a property whose cases are slow
 */
export function check<Ts>(title: string, property: IPropertyWithHooks<Ts> | IAsyncPropertyWithHooks<Ts>, share = 1): void {
	test(title, () => fc.assert(property.afterEach(assertUnpolluted) as IPropertyWithHooks<Ts>, runs(share)));
}

const PROTOTYPES = [Object.prototype, Array.prototype, String.prototype, Function.prototype, Map.prototype, URLSearchParams.prototype];
const KEYS = PROTOTYPES.map((prototype) => Reflect.ownKeys(prototype).length);

function assertUnpolluted(): void {
	PROTOTYPES.forEach((prototype, i) =>
		assert.equal(Reflect.ownKeys(prototype).length, KEYS[i], `${prototype.constructor.name}.prototype was changed`),
	);
}

/** @returns what a parser returns; undefined where it refuses its input as it may: with a RegistryError whose status is 4xx. Anything else fails. */
export function orRefused<T>(run: () => T): T | undefined {
	try {
		return run();
	} catch (error) {
		assert.ok(error instanceof RegistryError, `threw ${String(error)}`);
		assert.ok(error.statusCode >= 400 && error.statusCode < 500, `status ${error.statusCode}`);
		return undefined;
	}
}

/** What may stand in a header: RFC 9110 section 5.5, without the bytes beyond ASCII. */
export function assertHeader(value: string): void {
	assert.match(value, /^[\x20-\x7e]*$/);
}
