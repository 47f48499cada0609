import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { parseEnv } from 'node:util';
import { parseConfig } from '../../src/config.ts';
import { needs } from '../upstream/tools.ts';
import { run } from './local-base.ts';

const DIRECTORY = new URL('../../deploy/kubernetes/', import.meta.url).pathname;
/** The oldest and the newest Kubernetes that the manifests are for. */
const VERSIONS = ['1.31.0', '1.37.0'];
const KINDS = ['Namespace', 'ConfigMap', 'Service', 'Deployment', 'PodDisruptionBudget', 'HorizontalPodAutoscaler', 'NetworkPolicy'];

const read = (name: string): string => readFileSync(DIRECTORY + name, 'utf8');
const numberIn = (text: string, key: string): number => Number(new RegExp(`${key}: (\\d+)`).exec(text)?.[1]);

suite('the Kubernetes manifests', () => {
	test('fit the schemas, with no field that these do not know', needs('kubectl', 'kubernetes-validate'), (t) => {
		const directory = mkdtempSync(join(tmpdir(), 'manifests-'));
		t.after(() => rmSync(directory, { recursive: true }));
		const file = join(directory, 'all.yaml');
		const rendered = run('kubectl', ['kustomize', DIRECTORY]);
		writeFileSync(file, rendered);
		assert.deepEqual([...rendered.matchAll(/^kind: (\w+)$/gm)].map((match) => match[1]).sort(), [...KINDS].sort());
		for (const version of VERSIONS) {
			run('kubernetes-validate', ['--strict', '--quiet', '--kubernetes-version', version, file]);
		}
	});

	test('configure the service as it can be configured', () => {
		const settings = parseEnv(read('settings.env')) as Record<string, string>;
		const config = parseConfig(settings) as unknown as Record<string, unknown>;
		assert.deepEqual(
			Object.keys(settings).filter((name) => !(name in config)),
			[],
		);
		const deployment = read('deployment.yaml');
		assert.match(deployment, new RegExp(`name: http\\s+containerPort: ${settings['PROXY_PORT']}\\s`));
		assert.match(deployment, new RegExp(`name: metrics\\s+containerPort: ${settings['METRICS_PORT']}\\s`));
	});

	test('give a pod the time that it takes to end', () => {
		const { SHUTDOWN_DELAY, SHUTDOWN_TIMEOUT } = parseConfig(parseEnv(read('settings.env')) as Record<string, string>);
		assert.ok(numberIn(read('deployment.yaml'), 'terminationGracePeriodSeconds') * 1000 >= SHUTDOWN_DELAY + SHUTDOWN_TIMEOUT + 10_000);
	});
});
