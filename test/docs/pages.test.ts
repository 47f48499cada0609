import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite, test } from 'node:test';

const root = new URL('../../', import.meta.url).pathname;
const pages = globSync('**/*.md', { cwd: root, exclude: (name) => /(^|\/)(node_modules|\.git)$/.test(String(name)) }).map(String);

/** Of a page: what is not code, so that examples are not taken for links or headings. */
function prose(page: string): string {
	return readFileSync(join(root, page), 'utf8').replace(/^ *```[\s\S]*?^ *```/gm, '');
}

/** GitHub's names of a page's headings: https://github.com/gjtorikian/html-pipeline, in lower case, without punctuation, with `-1` and so on for the second of a name. */
function anchors(page: string): Set<string> {
	const seen = new Map<string, number>();
	return new Set(
		[...prose(page).matchAll(/^#{1,6} (.*)$/gm)].map(([, heading]) => {
			const name = heading!
				.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
				.toLowerCase()
				.replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
				.replaceAll(' ', '-');
			const before = seen.get(name) ?? 0;
			seen.set(name, before + 1);
			return before === 0 ? name : `${name}-${before}`;
		}),
	);
}

/** @returns what is wrong with a page's relative links, one line each */
function brokenLinks(page: string): string[] {
	const links = [...prose(page).matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)].map((match) => match[1]!).filter((link) => !/^[a-z]+:/.test(link));
	return links.flatMap((link) => {
		const [path = '', anchor] = link.split('#');
		const target = path === '' ? page : join(dirname(page), path);
		if (!existsSync(join(root, target))) {
			return [`${link}: no such file`];
		}
		return anchor !== undefined && target.endsWith('.md') && !anchors(target).has(anchor) ? [`${link}: no such heading`] : [];
	});
}

suite('the documentation', () => {
	test('was found', () => {
		assert.ok(pages.length >= 10 && pages.includes('README.md'), pages.join(' '));
	});

	for (const page of pages) {
		test(`${page} has no broken link`, () => {
			assert.deepEqual(brokenLinks(page), []);
		});
	}

	// That the files are there, the test of links shows.
	for (const section of prose('docs/request-handling.md')
		.split(/^(?=## )/m)
		.slice(1)) {
		test(`request-handling.md names the source of "${/^## (.*)/.exec(section)![1]!}"`, () => {
			assert.match(section, /^## .*\n\nSource: (\[((?:src|plugins)\/[^\]]+\.ts)\]\(\.\.\/\2\)(, |\.$))+/m);
		});
	}

	test('names scripts that package.json has', () => {
		const scripts = Object.keys((JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }).scripts);
		const named = pages.flatMap((page) =>
			[...readFileSync(join(root, page), 'utf8').matchAll(/npm run ([a-z][\w:]*)/g)].map((match) => match[1]!),
		);
		assert.deepEqual(
			[...new Set(named)].filter((name) => !scripts.includes(name)),
			[],
		);
		const contributing = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');
		assert.deepEqual(
			['dev', 'test:unit', 'test:one', 'test:clients', 'lint:fix', 'format', 'check'].filter(
				(name) => !contributing.includes(`npm run ${name}`),
			),
			[],
		);
	});

	test('has one decision to a number', () => {
		const numbers = pages.flatMap((page) => /decisions\/(\d{4})-/.exec(page)?.[1] ?? []);
		assert.ok(numbers.length > 0);
		assert.deepEqual(numbers, [...new Set(numbers)]);
	});

	test("README's tree has every folder of src and plugins", () => {
		const readme = readFileSync(join(root, 'README.md'), 'utf8');
		const folders = globSync(['src/*/', 'plugins/*/'], { cwd: root }).map((path) => String(path).split('/')[1]!);
		assert.ok(folders.length > 10);
		assert.deepEqual(
			folders.filter((folder) => !readme.includes(`\n  ${folder}/ `)),
			[],
		);
	});

	const words = /TRACKED = new Set\(\[(.*?)\]\)/.exec(readFileSync(join(root, 'src/balena/reference.ts'), 'utf8'))![1]!.match(/\w+/g)!;
	for (const page of ['docs/request-handling.md', 'docs/tags.md']) {
		test(`${page} has every word for the tracked release`, () => {
			const said = /.*`latest`, `.*(?:\n.*)?(?:should be running|tracked release)/.exec(prose(page))?.[0] ?? '';
			assert.deepEqual(
				words.filter((word) => !said.includes(`\`${word}\``)),
				[],
			);
		});
	}
});
