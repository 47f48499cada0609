import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test, type TestContext } from 'node:test';
import { ACCEPT, startProxy } from '../support/proxy.ts';
import { ask, tokenFor } from '../support/setup.ts';
import { freePort } from '../upstream/listen.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';
import { tableBelow } from './docs.ts';
import { run } from './local-base.ts';

const NAME = 'balenalabs/browser-aarch64/2.3.8';
const path = (name: string): string => new URL(`../../${name}`, import.meta.url).pathname;
const ALERTS = readFileSync(path('deploy/prometheus/alerts.yml'), 'utf8');
const DASHBOARD = JSON.parse(readFileSync(path('deploy/grafana/dashboard.json'), 'utf8'));
/** The expressions of a dashboard, with what Grafana puts in place of its variables. */
const QUERIES = strings(DASHBOARD, 'expr').map((query) =>
	query.replaceAll('$__rate_interval', '5m').replaceAll('$job', '.*').replaceAll('$instance', '.*'),
);

suite('what operators watch it with', () => {
	/** Of the running service, after a pull: what it exposes, and which metrics are in it. */
	let exposition: string;
	let exposed: Set<string>;

	const stops: (() => unknown)[] = [];

	after(() => Promise.all(stops.map((stop) => stop())));
	before(async () => {
		const port = await freePort();
		const proxy = await startProxy({ after: (stop: () => unknown) => stops.push(stop) } as unknown as TestContext, await sharedUpstream(), {
			METRICS_PORT: String(port),
		});
		const token = await tokenFor(proxy, NAME);
		assert.equal((await ask(proxy, `/v2/${NAME}/manifests/latest`, { token, headers: { accept: ACCEPT } })).status, 200);
		exposition = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
		exposed = new Set(
			[...exposition.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name, type]) =>
				type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => name! + suffix) : [name!],
			),
		);
	});

	test('the metrics are well-formed', needs('promtool'), () => {
		// What prom-client calls the metrics of Node itself is not this project's to say.
		const own = exposition
			.split('\n')
			.filter((line) => /^(# \w+ )?registry_proxy_/.test(line))
			.join('\n');
		const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: `${own}\n`, encoding: 'utf8' });
		assert.equal(status, 0, stdout + stderr);
	});

	test('the metrics are those in the documentation', () => {
		const documented = tableBelow('observe.md', 'Metrics').map((row) => row['Metric']!.replace(/\{.*$/, ''));
		const families = [...exposition.matchAll(/^# TYPE (registry_proxy_\S+)/gm)].map((match) => match[1]!);
		assert.deepEqual(documented.filter((name) => name.startsWith('registry_proxy_')).sort(), families.sort());
		assert.deepEqual(
			documented.filter((name) => !exposition.includes(`# TYPE ${name} `)),
			[],
		);
	});

	test('the metrics have the labels in the documentation', () => {
		for (const { Metric } of tableBelow('observe.md', 'Metrics')) {
			const [, name, labels = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(Metric!)!;
			const sample = new RegExp(`^${name}(?:_count)?\\{(.*)\\} `, 'm').exec(exposition)?.[1];
			if (sample !== undefined) {
				assert.deepEqual(
					[...sample.matchAll(/(\w+)=/g)].map((match) => match[1]).sort(),
					labels
						.split(',')
						.filter((label) => label !== '')
						.sort(),
					String(name),
				);
			}
		}
	});

	test('alerts and dashboard ask for metrics that are there', () => {
		const asked = [ALERTS, ...QUERIES].flatMap((text) => text.match(/\b(?:registry_proxy|nodejs|process)_\w+/g) ?? []);
		assert.ok(asked.length > 30);
		assert.deepEqual(
			[...new Set(asked)].filter((name) => !exposed.has(name)),
			[],
		);
	});

	test('the alert rules are rules, and do what they are meant to', needs('promtool'), () => {
		run('promtool', ['check', 'rules', path('deploy/prometheus/alerts.yml')]);
		run('promtool', ['test', 'rules', path('test/deploy/alerts.test.yml')]);
	});

	test('every alert is tested and documented', () => {
		const names = [...ALERTS.matchAll(/alert: (\w+)/g)].map((match) => match[1]!).sort();
		const tests = readFileSync(path('test/deploy/alerts.test.yml'), 'utf8');
		assert.deepEqual(
			names.filter((name) => !new RegExp(`alertname: ${name}\\s+exp_alerts`).test(tests)),
			[],
		);
		assert.deepEqual(
			tableBelow('observe.md', 'Alerts')
				.map((row) => row['Alert']!)
				.sort(),
			names,
		);
	});

	test('every query of the dashboard is one', needs('promtool'), (t) => {
		const directory = mkdtempSync(join(tmpdir(), 'queries-'));
		t.after(() => rmSync(directory, { recursive: true }));
		const file = join(directory, 'queries.yml');
		// JSON is YAML; a rule's expression is a query.
		writeFileSync(
			file,
			JSON.stringify({ groups: [{ name: 'dashboard', rules: QUERIES.map((expr, i) => ({ record: `query_${i}`, expr })) }] }),
		);
		run('promtool', ['check', 'rules', file]);
	});

	test('the panels of the dashboard have ids of their own and do not overlap', () => {
		const panels: { id: number; title: string; gridPos: { x: number; y: number; w: number; h: number } }[] = DASHBOARD.panels;
		assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
		const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
			Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
		);
		assert.equal(new Set(cells).size, cells.length);
		assert.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24));
	});
});

/** @returns every string that a key has, at any depth */
function strings(value: unknown, key: string): string[] {
	if (typeof value !== 'object' || value === null) {
		return [];
	}
	return Object.entries(value).flatMap(([name, item]) => (name === key && typeof item === 'string' ? [item] : strings(item, key)));
}
