import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { suite, test } from 'node:test';

const root = new URL('../../', import.meta.url).pathname;
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');
const { version, devDependencies, engines } = JSON.parse(read('package.json')) as {
	version: string;
	devDependencies: Record<string, string>;
	engines: { node: string };
};
const node = devDependencies['node']!;
const image = /^ARG NODE_IMAGE=(\S+)$/m.exec(read('Dockerfile'))![1]!;

/* What stands in several files and has to be the same in all. */
suite('versions', () => {
	const places: [where: string, is: string | undefined, shouldBe: string][] = [
		['Node in .nvmrc', read('.nvmrc').trim(), node],
		['Node in the Dockerfile', /\/node:([\d.]+)-/.exec(image)?.[1], node],
		['the image in which CI runs', /^ +image: (\S+)$/m.exec(read('.github/workflows/ci.yml'))?.[1], image],
		["the engine's major version", engines.node, `>=${node.split('.')[0]}`],
		['the major version in README.md', /Node (\d+)/.exec(read('README.md'))?.[1], node.split('.')[0]!],
		['the version in package-lock.json', (JSON.parse(read('package-lock.json')) as { version: string }).version, version],
		['the newest version in CHANGELOG.md', /^## (\d\S*)/m.exec(read('CHANGELOG.md'))?.[1], version],
	];
	for (const [where, is, shouldBe] of places) {
		test(where, () => assert.equal(is, shouldBe));
	}

	const actions = globSync('.github/workflows/*.yml', { cwd: root })
		.flatMap((path) => [...read(path).matchAll(/uses: ([^.\s]\S*)(.*)$/gm)])
		.map(([, action, comment]) => `${action}${comment}`);

	test('actions of others are named by commit, with the version beside it', () => {
		assert.ok(actions.length > 0);
		assert.deepEqual(
			actions.filter((action) => !/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action)),
			[],
		);
	});
});
