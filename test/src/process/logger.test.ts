import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, test } from 'node:test';
import { table } from '../../support/table.ts';

const run = promisify(execFile);
const LOGGER = fileURLToPath(new URL('../../../src/process/logger.ts', import.meta.url));

const DESTINATION = fileURLToPath(new URL('../../../src/process/log-destination.ts', import.meta.url));

/** What a process prints that makes a logger and runs some code with it. */
async function printed(code: string, { level = 'info', isTerminal = false } = {}): Promise<string> {
	const options = `${JSON.stringify({ LOG_LEVEL: level })}, logDestination(), ${isTerminal}`;
	const { stdout } = await run(process.execPath, [
		'-e',
		`import { createLogger } from ${JSON.stringify(LOGGER)};\nimport { logDestination } from ${JSON.stringify(DESTINATION)};\nconst log = createLogger(${options});\n${code}`,
	]);
	return stdout;
}

describe('createLogger: credentials do not come out', () => {
	table<string>(
		[
			["log.info({ headers: { authorization: 'Basic SECRET' } })", 'censored'],
			["log.info({ req: { headers: { authorization: 'Basic SECRET' } } })", 'censored'],
			["log.info({ authorization: 'Basic SECRET' })", 'censored'],
			// Errors of balena-sdk carry the request that failed.
			["log.fatal({ err: Object.assign(new Error('e'), { requestOptions: { headers: { Authorization: 'SECRET' } } }) })", 'censored'],
			["log.error(Object.assign(new Error('e'), { requestOptions: { headers: { Authorization: 'SECRET' } } }))", 'censored'],
			["log.info({ name: 'SECRET' })", 'printed'],
		],
		async (code) => ((await printed(code)).includes('SECRET') ? 'printed' : 'censored'),
	);
});

describe('createLogger', () => {
	test('prints a line of JSON an event, where it is not to a terminal', async () => {
		const lines = (await printed("log.info({ name: 'org/app' }, 'a\\nb'); log.warn('c')")).trimEnd().split('\n');
		assert.deepEqual(
			lines
				.map((line) => JSON.parse(line) as { level: number; name?: string; msg: string; pid?: number })
				.map(({ level, name, msg, pid }) => ({ level, name, msg, pid })),
			[
				{ level: 30, name: 'org/app', msg: 'a\nb', pid: undefined },
				{ level: 40, name: undefined, msg: 'c', pid: undefined },
			],
		);
	});
	test('prints readable lines in a terminal', async () =>
		assert.match(await printed("log.info({ name: 'org/app' }, 'hello')", { isTerminal: true }), /INFO.*hello/));
	test('keeps to its level', async () => assert.equal(await printed("log.info('hello')", { level: 'warn' }), ''));
});
