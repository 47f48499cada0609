import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { RegistryError } from '../../src/errors.ts';

const MAX_TITLE_LENGTH = 120;

/** One test for every row of a table of behaviour; its name is the input, and what is expected. */
export function table<I>(rows: readonly (readonly [input: I, expected: unknown])[], run: (input: I) => unknown): void {
	for (const [input, expected] of rows) {
		test(`${title(input)} -> ${title(expected)}`, async () => assert.deepEqual(plain(await run(input)), expected));
	}
}

/** @returns what a function returns, or for the error that it throws: `400 NAME_INVALID`. Anything but a RegistryError fails the test. */
export function outcome<T>(run: () => T): T | string {
	try {
		return run();
	} catch (error) {
		if (error instanceof RegistryError) {
			return `${error.statusCode} ${error.code}`;
		}
		throw error;
	}
}

function title(value: unknown): string {
	const text = inspect(value, { depth: 4, breakLength: Infinity, compact: true });
	return text.length <= MAX_TITLE_LENGTH ? text : `${text.slice(0, MAX_TITLE_LENGTH)}…(${text.length})`;
}

/** Without properties that are there but undefined, which rows leave out. */
function plain(value: unknown): unknown {
	if (Array.isArray(value)) {
		return value.map(plain);
	}
	if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
		return Object.fromEntries(Object.entries(value).flatMap(([name, inner]) => (inner === undefined ? [] : [[name, plain(inner)]])));
	}
	return value;
}
