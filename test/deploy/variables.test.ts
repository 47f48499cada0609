import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { parseEnv } from 'node:util';
import { parseConfig, SETTINGS } from '../../src/config.ts';
import { CONSTANTS } from '../../src/constants.ts';
import { tableBelow } from './docs.ts';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The settings as src/config.ts, .env.example and docs/configure.md tell them: names, and what stands for "not set". */
const inSchema: string[] = [...SETTINGS.keys()];
const inExample = parseEnv(read('.env.example')) as Record<string, string>;
const inDocs = Object.fromEntries(tableBelow('configure.md', 'Variables').map((row) => [row['Variable']!, row['Default']!]));

suite('the settings', () => {
	test('are the same in the schema, in .env.example and in the documentation', () => {
		assert.deepEqual(Object.keys(inExample).sort(), [...inSchema].sort());
		assert.deepEqual(Object.keys(inDocs).sort(), [...inSchema].sort());
	});

	test('are known to the parser', () => {
		for (const name of inSchema.filter((name) => name !== 'PROXY_HOST')) {
			assert.throws(() => parseConfig({ [name]: '\u0000' }), new RegExp(`^ConfigError: ${name} |^Error: ${name} `), name);
		}
	});

	test('say what they accept', () =>
		assert.deepEqual(
			[...SETTINGS].filter(([, { accepts = '' }]) => accepts === ''),
			[],
		));

	test('are what the documents for operators name, and constants are not, since they cannot be set', () => {
		const pages = ['README.md', 'deploy/kubernetes/settings.env', 'docker-compose.yml'].concat(
			['install', 'configure', 'observe', 'migrate', 'troubleshoot', 'reliability', 'request-handling', 'tags'].map(
				(name) => `docs/${name}.md`,
			),
		);
		for (const page of pages) {
			const names = new Set(read(page).match(/\b[A-Z][A-Z0-9]*(_[A-Z0-9]+)+\b/g));
			assert.deepEqual(
				Object.keys(CONSTANTS).filter((name) => names.has(name)),
				[],
				page,
			);
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
