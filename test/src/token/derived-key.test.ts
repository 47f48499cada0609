import assert from 'node:assert/strict';
import { test } from 'node:test';
import { derivedKey } from '../../../src/token/derived-key.ts';

test('HKDF as RFC 5869 has it: appendix A.3, the first 32 bytes', () => {
	assert.equal(derivedKey('\x0b'.repeat(22), '').toString('hex'), '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d');
});

test('each secret and each purpose has a key of its own', () => {
	const keys = [derivedKey('a', 'x'), derivedKey('a', 'y'), derivedKey('b', 'x')].map((key) => key.toString('hex'));
	assert.equal(new Set(keys).size, keys.length);
});
