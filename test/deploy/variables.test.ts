import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { parseEnv } from 'node:util';
import { parseConfig } from '../../src/config.ts';
import { tableBelow } from './docs.ts';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The settings as src/config.ts, .env.example and docs/configure.md tell them: names, and what stands for "not set". */
const inSchema = [...read('src/config.ts').matchAll(/^\t([A-Z][A-Z0-9_]+): /gm)]
	.map((match) => match[1]!)
	.filter((name, i, all) => all.indexOf(name) === i);
const inExample = parseEnv(read('.env.example')) as Record<string, string>;
const inDocs = Object.fromEntries(tableBelow('configure.md', 'Variables').map((row) => [row['Variable']!, row['Default']!]));

suite('the settings', () => {
	test('are the same in the schema, in .env.example and in the documentation', () => {
		assert.ok(inSchema.length > 30, 'the schema was found');
		assert.deepEqual(Object.keys(inExample).sort(), [...inSchema].sort());
		assert.deepEqual(Object.keys(inDocs).sort(), [...inSchema].sort());
	});

	test('are known to the parser', () => {
		for (const name of inSchema.filter((name) => name !== 'PROXY_HOST')) {
			assert.throws(() => parseConfig({ [name]: '\u0000' }), new RegExp(`^ConfigError: ${name} |^Error: ${name} `), name);
		}
	});

	test('have the defaults that .env.example gives', () => {
		assert.deepEqual(parseConfig(inExample), parseConfig({}));
	});

	for (const [name, value] of Object.entries(inDocs)) {
		test(`${name} has the default that the documentation gives`, () => {
			const isValue = !/^(none|from .*)$/.test(value);
			assert.deepEqual(parseConfig(isValue ? { [name]: value } : {}), parseConfig({}));
			assert.equal(inExample[name], isValue ? value : '');
		});
	}
});
