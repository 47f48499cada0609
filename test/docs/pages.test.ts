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
});
