import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { ACCEPT } from '../support/proxy.ts';
import { ask, tokenFor } from '../support/setup.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';
import { startContainer } from './container.ts';
import { makeLocalBases, run } from './local-base.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const NAME = 'balenalabs/browser-aarch64/2.3.8';
const NODE = '/usr/local/bin/node';

/** The Dockerfile, built for real; only its two base images are replaced, by ones made of this machine's files. */
suite('the container image', needs('buildah', 'podman', 'ldd', 'npm'), () => {
	const tag = `registry-proxy-test-${randomUUID()}`;
	const image = `localhost/${tag}`;
	const directory = mkdtempSync(join(tmpdir(), 'image-'));

	before(() => {
		const bases = makeLocalBases(tag);
		const npmrc = join(directory, 'npmrc');
		writeFileSync(
			npmrc,
			['registry', 'cafile']
				.map((name) => `${name}=${npmSetting(name)}\n`)
				.filter((line) => !/=(null|undefined)?$/.test(line.trim()))
				.join(''),
		);
		run('buildah', [
			'bud',
			'--isolation=chroot',
			'--format=docker',
			`--tag=${image}`,
			`--secret=id=npmrc,src=${npmrc}`,
			`--build-arg=NODE_IMAGE=${bases.node}`,
			`--build-arg=RUNTIME_IMAGE=${bases.runtime}`,
			'--build-arg=VERSION=1.2.3',
			'--build-arg=REVISION=abc',
			ROOT,
		]);
	});
	after(() => {
		rmSync(directory, { recursive: true });
		run('buildah', ['rmi', '--force', image, `${image}-node`, `${image}-runtime`]);
	});

	test('is of the Node that the tests run on, pinned by digest', () => {
		const { devDependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { devDependencies: Record<string, string> };
		const bases = [...readFileSync(`${ROOT}Dockerfile`, 'utf8').matchAll(/^ARG (NODE|RUNTIME)_IMAGE=(\S+)$/gm)].map((match) => match[2]!);
		assert.equal(bases.length, 2);
		assert.match(bases[0]!, new RegExp(`/node:${devDependencies['node']}-`));
		for (const base of bases) {
			assert.match(base, /@sha256:[0-9a-f]{64}$/);
		}
	});

	test('says what it is and how to run it', () => {
		const { config } = JSON.parse(run('buildah', ['inspect', '--type=image', image])).Docker as { config: Record<string, any> };
		assert.equal(config['User'], '65532:65532');
		assert.deepEqual(config['Entrypoint'], [NODE]);
		assert.deepEqual(config['Cmd'], ['dist/server.mjs']);
		assert.deepEqual(Object.keys(config['ExposedPorts']), ['80/tcp']);
		assert.deepEqual(config['Healthcheck'].Test, ['CMD', NODE, 'healthcheck.ts']);
		assert.equal(config['Labels']['org.opencontainers.image.version'], '1.2.3');
		assert.equal(config['Labels']['org.opencontainers.image.revision'], 'abc');
		assert.equal(config['Labels']['org.opencontainers.image.licenses'], 'Apache-2.0');
	});

	test('holds what is needed and nothing else', () => {
		const container = run('buildah', ['from', image]).trim();
		try {
			const root = run('buildah', ['mount', container]).trim();
			const files = run('find', [root, '-path', `${root}/usr/lib`, '-prune', '-o', '-type', 'f', '-printf', '%U %#m /%P\n'])
				.trim()
				.split('\n');
			const inApp = files.filter((line) => line.includes(' /app/'));
			assert.deepEqual(
				inApp.filter((line) => !line.startsWith('0 ')),
				[],
				'all of it belongs to root',
			);
			assert.deepEqual(
				inApp.filter((line) => !/^0 0?[0-7][0-7]?[4567][4567] /.test(line)),
				[],
				'and can be read by everyone',
			);
			const paths = files.map((line) => line.slice(line.indexOf('/')));
			assert.deepEqual([...new Set(paths.filter((path) => path.startsWith('/app/')).map((path) => path.split('/')[2]))].sort(), [
				'LICENSE',
				'compile-cache',
				'dist',
				'healthcheck.ts',
				'node_modules',
				'package-lock.json',
				'package.json',
			]);
			assert.deepEqual(
				paths.filter((path) => /\/(sh|bash|npm|npx|\.npmrc|\.env)$/.test(path)),
				[],
			);
			assert.deepEqual(
				paths.filter((path) => path.startsWith('/app/node_modules/') && !/\/(package\.json|(licen[cs]e|notice|copying)[^/]*)$/i.test(path)),
				[],
				'of the packages, nothing that could run',
			);
			assert.ok(
				paths.some((path) => path === '/app/node_modules/fastify/LICENSE'),
				'licences stay',
			);
		} finally {
			run('buildah', ['rm', container]);
		}
	});

	test('pulls, without privileges and with nothing that it could write to', async (t) => {
		const { apiUrl, registryUrl } = await sharedUpstream();
		const env = {
			PROXY_HOST: '127.0.0.1',
			PROXY_PORT: '0',
			API_URL: apiUrl,
			REGISTRY_URL: registryUrl,
			NODE_DEBUG_NATIVE: 'COMPILE_CACHE',
		};
		const container = await startContainer(t, image, [
			'--network=host',
			...Object.entries(env).map(([name, value]) => `--env=${name}=${value}`),
		]);

		const token = await tokenFor(container, NAME);
		const answer = await ask(container, `/v2/${NAME}/manifests/latest`, { token, headers: { accept: ACCEPT } });
		assert.equal(answer.status, 200, answer.text);
		assert.equal(JSON.parse(answer.text).schemaVersion, 2);
		assert.equal(container.exec([NODE, '--eval', 'fs.writeFileSync("/tmp/x", "")']), 1, 'it cannot write');
		assert.equal(container.exec([NODE, '--eval', 'process.exit(process.getuid() === 65532 ? 0 : 1)']), 0, 'it is not root');
		const compiled = container.log.filter((line) => /V8 code cache for ESM file:\/\/\/app\/dist\/app\.mjs was/.test(line));
		assert.match(compiled[0] ?? '', /accepted/, 'the code compiled at build time is used');
	});

	test('is healthy on its default port as long as it answers', async (t) => {
		const container = await startContainer(t, image, ['--network=none', '--sysctl=net.ipv4.ip_unprivileged_port_start=0']);
		assert.equal(new URL(container.url).port, '');
		assert.equal(container.exec([NODE, 'healthcheck.ts']), 0);
		assert.equal(container.exec([NODE, 'healthcheck.ts'], { PROXY_PORT: '81' }), 1);
	});

	test('ends by itself on SIGTERM, as its first process', async (t) => {
		const container = await startContainer(t, image, ['--network=none', '--env=PROXY_PORT=8080']);
		assert.equal(container.end('TERM'), 0);
	});
});

function npmSetting(name: string): string {
	return run('npm', ['config', 'get', name]).trim();
}
