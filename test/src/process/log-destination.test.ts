import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const file = (name: string): string => JSON.stringify(fileURLToPath(new URL(`../../../src/process/${name}`, import.meta.url)));
const PRELUDE = `
	import { createLogger } from ${file('logger.ts')};
	import { logDestination } from ${file('log-destination.ts')};
	const destination = logDestination();
	const log = createLogger({ LOG_LEVEL: 'info' }, destination, false);
	const many = (n) => { for (let i = 0; i < n; i++) log.info({ i }, 'a line of every day'); };
`;

/** A process that logs, and is not there any more when the test ends. */
function logging(t: TestContext, code: string): ChildProcessByStdio<null, Readable, Readable> {
	const child = spawn(process.execPath, ['--input-type=module', '-e', `${PRELUDE}${code}`], { stdio: ['ignore', 'pipe', 'pipe'] });
	t.after(() => child.kill('SIGKILL'));
	return child;
}

describe('no line is lost, however the process ends', () => {
	const rows: [how: string, code: string, exit: number | null, signal?: NodeJS.Signals][] = [
		['there is nothing left to do', 'many(1000)', 0],
		['process.exit', 'many(1000); process.exit(3)', 3],
		['an error that nobody catches', "many(1000); throw new Error('defect')", 1],
		['a promise that is rejected', "many(1000); Promise.reject(new Error('defect'))", 1],
		[
			'SIGTERM, and what is done at the end',
			"setInterval(() => {}, 1e6); process.once('SIGTERM', async () => { many(999); await destination.end(); process.exit(0); }); log.warn('ready')",
			0,
			'SIGTERM',
		],
	];
	for (const [how, code, exit, signal] of rows) {
		test(how, async (t) => {
			const child = logging(t, code);
			const exited = once(child, 'exit');
			const printed = text(child.stdout);
			if (signal !== undefined) {
				await once(child.stdout, 'data');
				child.kill(signal);
			}
			assert.equal((await exited)[0], exit);
			assert.equal((await printed).trimEnd().split('\n').length, 1000);
		});
	}
});

test('a line from "warn" up is out at once, with those before it, whatever the process does next', async (t) => {
	const child = logging(t, "many(3); log.warn('now'); for (;;);");
	let printed = '';
	for await (const piece of child.stdout) {
		printed += String(piece);
		if (printed.includes('"now"')) {
			break;
		}
	}
	assert.equal(printed.trimEnd().split('\n').length, 4);
});

test('a line of every day is out after a moment, also where no other follows', async (t) => {
	const child = logging(t, 'many(1); setInterval(() => {}, 1e6)');
	const [piece] = (await once(child.stdout, 'data')) as [Buffer];
	assert.match(String(piece), /a line of every day/);
});

test('a reader that closes the pipe ends nothing but the log', async (t) => {
	const child = logging(t, "many(100); setTimeout(() => { many(1000); log.error('x'); setTimeout(() => process.exit(7), 300); }, 300)");
	await once(child.stdout, 'data');
	child.stdout.destroy();
	assert.equal((await once(child, 'exit'))[0], 7);
});

test('a reader that does not read holds up nothing: lines are dropped and counted, memory is bounded, and the process can end', async (t) => {
	const child = logging(
		t,
		`for (let turn = 0; turn < 300; turn++) { many(1000); await new Promise(setImmediate); }
		const { heapUsed, external } = process.memoryUsage();
		console.error(JSON.stringify({ dropped: destination.dropped, mb: (heapUsed + external) / 1e6 }));
		await destination.end();
		process.exit(0);`,
	);
	const exited = once(child, 'exit');
	// Its standard output is a full pipe from here on.
	child.stdout.pause();
	const { dropped, mb } = JSON.parse(await text(child.stderr)) as { dropped: number; mb: number };
	assert.ok(dropped > 100_000, `${dropped} of 300000 were dropped`);
	assert.ok(mb < 64, `${mb} MB`);
	assert.equal((await exited)[0], 0);
});
