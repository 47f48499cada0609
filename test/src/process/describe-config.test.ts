import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseConfig } from '../../../src/config.ts';
import { describeConfig } from '../../../src/process/describe-config.ts';
import { table } from '../../support/table.ts';

const SECRET = 'correct-horse-battery-staple-correct-horse';

/** Settings that are set by hand, as lines without the columns. */
const lines = (env: Record<string, string>): string[] => {
	const defaults = new Set(describeConfig(parseConfig({})));
	return describeConfig(parseConfig(env))
		.filter((line) => !defaults.has(line))
		.map((line) => line.replace(/ +/, ' '));
};

describe('describeConfig: a line a setting', () => {
	table<Record<string, string>>(
		[
			[{}, []],
			[{ PROXY_PORT: '8080' }, ['PROXY_PORT 8080']],
			[{ TRUST_PROXY: '10.0.0.0/8, loopback' }, ['TRUST_PROXY 10.0.0.0/8,loopback']],
			[{ PUBLIC_URL: 'https://bh.cr' }, ['PUBLIC_URL https://bh.cr']],
			// Seconds, as they were given.
			[{ RESOLUTION_TTL: '1.5', STALE_TTL: '90', SHUTDOWN_DELAY: '3' }, ['RESOLUTION_TTL 1.5 s', 'STALE_TTL 90 s', 'SHUTDOWN_DELAY 3 s']],
			// Secrets are only there or not.
			[{ TOKEN_SECRET: SECRET, REDIS_URL: 'redis://user:hunter2@redis' }, ['TOKEN_SECRET (set)', 'REDIS_URL (set)']],
		],
		lines,
	);
	test('aligned', () => {
		const columns = new Set(describeConfig(parseConfig({})).map((line) => /^\S+ +/.exec(line)![0].length));
		assert.equal(columns.size, 1);
	});
	test('what is not set is not there', () =>
		assert.doesNotMatch(describeConfig(parseConfig({})).join('\n'), /PUBLIC_URL|TOKEN_SECRET|undefined/));
});
