import fc, { type Arbitrary } from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { formatChallenge, parseChallenge, type Challenge } from '../../src/registry/challenge.ts';
import { anyText, nearly, printable } from './arbitraries.ts';
import { assertHeader, check } from './check.ts';

const challengeOf = (text: Arbitrary<string>): Arbitrary<Challenge> =>
	fc.record(
		{
			realm: text,
			service: text,
			scope: fc.option(text, { nil: undefined }),
			error: fc.option(text, { nil: undefined }),
			errorDescription: fc.option(text, { nil: undefined }),
		},
		{ noNullPrototype: true },
	);

describe('challenges', () => {
	check(
		'are read back as they were written',
		fc.property(challengeOf(printable), (challenge) => assert.deepEqual(parseChallenge(formatChallenge(challenge)), challenge)),
	);
	check(
		'are one clean header line, whatever is in them',
		fc.property(challengeOf(anyText), (challenge) => {
			const line = formatChallenge(challenge);
			assertHeader(line);
			const clean = (text: string | undefined): string | undefined => text?.replace(/[^\x20-\x7e]/g, '?');
			assert.deepEqual(parseChallenge(line), {
				realm: clean(challenge.realm),
				service: clean(challenge.service),
				scope: clean(challenge.scope),
				error: clean(challenge.error),
				errorDescription: clean(challenge.errorDescription),
			});
		}),
	);
	check(
		'are read or not, and never more than was there',
		fc.property(nearly(challengeOf(printable).map(formatChallenge)), (line) => {
			const challenge = parseChallenge(line);
			for (const value of Object.values(challenge ?? {}) as (string | undefined)[]) {
				assert.ok(value === undefined || value.length <= line.length);
			}
			if (challenge !== undefined) {
				// What was read is written such that the same is read again.
				const rewritten = formatChallenge(challenge);
				assert.equal(formatChallenge(parseChallenge(rewritten)!), rewritten);
			}
		}),
	);
	check(
		'are found behind another one',
		fc.property(
			challengeOf(printable),
			fc.constantFrom('Basic realm="x"', 'Negotiate', 'Digest realm="x", nonce="y"'),
			(challenge, other) => {
				assert.deepEqual(parseChallenge(`${other}, ${formatChallenge(challenge)}`), challenge);
				assert.deepEqual(parseChallenge([other, formatChallenge(challenge)]), challenge);
				assert.deepEqual(parseChallenge(`${formatChallenge(challenge)}, ${other}`), challenge);
			},
		),
	);
});
