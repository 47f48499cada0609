import fc, { type Arbitrary } from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { cacheKey } from '../../src/balena/cache-key.ts';
import { ANONYMOUS, callerWithPassword, callerWithSecret, type Caller } from '../../src/balena/caller.ts';
import { isBareFleet, parseReference } from '../../src/balena/reference.ts';
import { neighbourhoodQuery } from '../../src/balena/neighbourhood.ts';
import { explanationQueries, releaseQuery } from '../../src/balena/release-query.ts';
import { isRepository } from '../../src/registry/name.ts';
import { anyText, component, name, nearly, repository, tag } from './arbitraries.ts';
import { check } from './check.ts';
import { isNameByHand, TRACKED } from './oracles.ts';

const release = fc.oneof(
	component,
	tag,
	fc.constantFrom(...TRACKED, 'v2', 'v2.4', '2', '2.4', '2.4.0', 'abcdef0', '0123456789abcdef0123456789abcdef01234567'),
);

describe('parseReference', () => {
	check(
		'takes a name apart such that it can be put together again',
		fc.property(nearly(fc.oneof(name, repository)), (text) => {
			const reference = parseReference(text);
			switch (reference.kind) {
				case 'repository':
					assert.ok(isRepository(text));
					assert.equal(reference.repository, text);
					break;
				case 'fleet': {
					const [org, fleet, typed, service, ...rest] = text.split('/');
					assert.ok(isNameByHand(text));
					assert.deepEqual([reference.slug, reference.service, rest], [`${org}/${fleet}`, service, []]);
					assert.equal(isBareFleet(reference), typed === undefined);
					assert.equal(reference.release, typed === undefined || TRACKED.includes(typed) ? undefined : typed);
					break;
				}
				case 'invalid':
					assert.ok(!isNameByHand(text) || text.split('/').length < 2 || text.split('/').length > 4 || text.startsWith('v2/'));
			}
		}),
	);
});

describe('the queries', () => {
	/** All names of properties in a value. */
	const keysOf = (value: unknown): string[] =>
		typeof value === 'object' && value !== null
			? [...(Array.isArray(value) ? [] : Object.keys(value)), ...Object.values(value).flatMap(keysOf)]
			: [];
	const known = new Set(
		['2.4', '2.4.0-rev1', '2023101', undefined].flatMap((text) => {
			const reference = { slug: 'org/app', release: text };
			return [...keysOf(releaseQuery(reference)), ...keysOf(explanationQueries(reference)), ...keysOf(neighbourhoodQuery(reference))];
		}),
	);

	check(
		'have texts of the caller as values only',
		fc.property(fc.oneof(name, anyText), fc.oneof(release, anyText), (slug, text) => {
			const reference = { slug, release: text };
			for (const key of [
				...keysOf(releaseQuery(reference)),
				...keysOf(explanationQueries(reference)),
				...keysOf(neighbourhoodQuery(reference)),
			]) {
				assert.ok(known.has(key), key);
			}
		}),
	);
});

/** Of few parts, so that different names are often nearly the same. */
const similarName = fc
	.array(fc.constantFrom('a', 'b', 'a-b', 'latest', 'pinned', 'v2', '2', '2.4'), { minLength: 2, maxLength: 4 })
	.map((parts) => parts.join('/'));
const similarText = fc.string({ unit: fc.constantFrom('a', 'b', '/', '-', 'latest', '2'), maxLength: 5 });
const caller: Arbitrary<Caller> = fc
	.oneof(
		fc.constant(ANONYMOUS),
		fc.tuple(similarText, similarText).map(([user, password]) => callerWithPassword(user, password)),
		fc.oneof(similarText, fc.constant('anonymous')).map(callerWithSecret),
	)
	.filter((made) => made !== undefined);

/** What a name means, whichever of the words for it was used. */
function meaning(text: string): string {
	const [org, fleet, typed, service] = text.split('/');
	return JSON.stringify([org, fleet, typed === undefined || TRACKED.includes(typed) ? null : typed, service ?? null]);
}

describe('cacheKey', () => {
	check(
		'is shared only by the same question of the same caller',
		fc.property(fc.oneof(similarName, name), caller, fc.oneof(similarName, name), caller, (nameA, callerA, nameB, callerB) => {
			const a = parseReference(nameA);
			const b = parseReference(nameB);
			fc.pre(a.kind === 'fleet' && b.kind === 'fleet');
			const isSameCaller = callerA.kind === callerB.kind && JSON.stringify(callerA) === JSON.stringify(callerB);
			assert.equal(cacheKey(a, callerA) === cacheKey(b, callerB), isSameCaller && meaning(nameA) === meaning(nameB));
		}),
	);
	check(
		'is shared by a name and a tag only where they mean the same',
		fc.property(similarName, fc.oneof(fc.constantFrom('a', 'b', 'a-b', '2', '2.4'), tag), (text, tagged) => {
			const named = parseReference(text);
			fc.pre(named.kind === 'fleet' && !TRACKED.includes(tagged));
			const slug = 'a/b';
			const byTag = cacheKey({ slug, release: tagged, service: undefined }, ANONYMOUS);
			assert.equal(byTag === cacheKey(named, ANONYMOUS), meaning(text) === meaning(`${slug}/${tagged}`));
		}),
	);
});
