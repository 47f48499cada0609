import fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { isDigest, isFallbackTag } from '../../src/registry/digest.ts';
import { isName, isRepository } from '../../src/registry/name.ts';
import { digest, fallbackTag, name, nearly, repository } from './arbitraries.ts';
import { check } from './check.ts';
import { isNameByHand } from './oracles.ts';

describe('names and digests', () => {
	check(
		'isName says what the grammar says',
		fc.property(nearly(name), (text) => assert.equal(isName(text), isNameByHand(text))),
	);
	check(
		'isName takes every name',
		fc.property(name, (text) => assert.ok(isName(text))),
	);
	check(
		'a name leads nowhere but to itself',
		fc.property(nearly(name), (text) => {
			fc.pre(isName(text));
			assert.equal(new URL(`https://registry/v2/${text}/manifests/latest`).href, `https://registry/v2/${text}/manifests/latest`);
		}),
	);
	check(
		'isRepository says what the grammar says',
		fc.property(nearly(repository), (text) => {
			const isOne =
				text.startsWith('v2/') &&
				text.length >= 35 &&
				text.length <= 67 &&
				[...text.slice(3)].every((character) => '0123456789abcdef'.includes(character));
			assert.equal(isRepository(text), isOne);
		}),
	);
	check(
		'isDigest says what the grammar says',
		fc.property(nearly(digest), (text) => {
			const [algorithm = '', hex = '', ...rest] = text.split(':');
			const length = new Map([
				['sha256', 64],
				['sha512', 128],
			]).get(algorithm);
			assert.equal(
				isDigest(text),
				hex.length === length && rest.length === 0 && [...hex].every((character) => '0123456789abcdef'.includes(character)),
			);
		}),
	);
	check(
		'a fallback tag is a tag, and no digest',
		fc.property(nearly(fallbackTag), (text) => {
			fc.pre(isFallbackTag(text));
			assert.match(text, /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,200}$/);
			assert.ok(!isDigest(text));
		}),
	);
	check(
		'isFallbackTag takes every fallback tag',
		fc.property(fallbackTag, (text) => assert.ok(isFallbackTag(text))),
	);
});
