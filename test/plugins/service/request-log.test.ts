import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { after, suite, test } from 'node:test';
import { tableBelow } from '../../deploy/docs.ts';
import { ask, setUp, tokenFor, type Setup } from '../../support/setup.ts';
import { until } from '../../support/until.ts';

/* The log is read by machines as well: its fields, and the lines that operators are told of, are those in docs/observe.md. */

const NAME = 'balenalabs/browser-aarch64';
/** pino's own. */
const OF_EVERY_LINE = ['level', 'time', 'msg'];
const ALWAYS = ['reqId', 'client', 'method', 'kind', 'status', 'bytes', 'ms'];

const documented = tableBelow('observe.md', 'Logs').flatMap((row) => row['Field']!.match(/\w+/g)!);

interface Row {
	env?: Record<string, string>;
	run: (setup: Setup) => Promise<unknown>;
	/** How many requests that makes. */
	requests: number;
	/** Of their lines, besides those of every request. */
	fields: string[];
}

const ROWS: Record<string, Row> = {
	'a manifest': {
		run: async ({ proxy }) => {
			const token = await tokenFor(proxy, NAME);
			await ask(proxy, `/v2/${NAME}/manifests/latest`, { token, headers: { 'user-agent': 'x' } });
		},
		requests: 2,
		fields: ['name', 'version', 'repository', 'cache', 'agent'],
	},
	'nothing that is known here': { run: ({ proxy }) => ask(proxy, '/nothing?key=secret'), requests: 1, fields: ['path'] },
	'too many requests': {
		env: { RATE_LIMIT_MAX: '1' },
		run: async ({ proxy }) => (await ask(proxy, '/v2/'), await ask(proxy, '/v2/')),
		requests: 2,
		// What is refused before it is routed has no kind yet.
		fields: ['limit', 'path'],
	},
	'too much for the API, and a client that goes away': {
		env: { API_CONCURRENCY: '1', API_QUEUE: '0' },
		async run({ api, proxy }) {
			api.fault = () => 'hang';
			const waiting = request(`${proxy.url}/auth/v1/token?scope=repository:acme/secret:pull`).on('error', () => undefined);
			waiting.end();
			await until(() => api.underWay === 1);
			assert.equal((await ask(proxy, `/auth/v1/token?scope=repository:${NAME}:pull`)).status, 503);
			waiting.destroy();
		},
		requests: 2,
		fields: ['name', 'overloaded', 'aborted'],
	},
};

function linesOf(log: readonly string[]): Record<string, unknown>[] {
	return log.map((text) => JSON.parse(text) as Record<string, unknown>).filter(({ msg }) => msg === 'request');
}

suite('a line for each request has the fields that are documented:', () => {
	const seen = new Set<string>();
	for (const [what, { env, run, requests, fields }] of Object.entries(ROWS)) {
		test(what, async (t) => {
			const setup = await setUp(t, env);
			await run(setup);
			const expected = new Set([...OF_EVERY_LINE, ...ALWAYS, ...fields]);
			await until(() => linesOf(setup.proxy.log).length === requests);
			const found = new Set(linesOf(setup.proxy.log).flatMap((line) => Object.keys(line)));
			assert.deepEqual([...found].sort(), [...expected].sort());
			found.forEach((name) => seen.add(name));
		});
	}
	after(() => assert.deepEqual([...seen].filter((name) => !OF_EVERY_LINE.includes(name)).sort(), [...documented].sort()));
});

test('the lines that are documented are those of the code', () => {
	const root = new URL('../../../', import.meta.url);
	const code = ['src', 'plugins']
		.flatMap((folder) => readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`))
		.filter((file) => file.endsWith('.ts'))
		.map((file) => readFileSync(new URL(file, root), 'utf8'))
		.join('\n');
	const section = /^## Logs\n[\s\S]*?(?=^## )/m.exec(readFileSync(new URL('docs/observe.md', root), 'utf8'))![0];
	const lines = [...section.slice(section.indexOf('| Line |')).matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1]!);
	assert.ok(lines.length > 3);
	assert.deepEqual(
		lines.filter((line) => !code.includes(line)),
		[],
	);
});
