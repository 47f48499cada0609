import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ZodError } from 'zod';
import { parseAnswer } from '../../../src/balena/parse-answer.ts';
import { parseReleases } from '../../../src/balena/release.ts';
import { RegistryError } from '../../../src/errors.ts';

test('parseAnswer: an answer of another form is the fault of the API, and the log knows in what', () =>
	assert.throws(
		() => parseAnswer(parseReleases, [{}]),
		(error) =>
			error instanceof RegistryError &&
			error.statusCode === 502 &&
			error.code === 'UNAVAILABLE' &&
			error.cause instanceof Error &&
			error.cause.cause instanceof ZodError,
	));
test('parseAnswer: what is no answer, but a defect, stays one', () =>
	assert.throws(
		() =>
			parseAnswer(() => {
				throw new TypeError('x');
			}, []),
		TypeError,
	));
