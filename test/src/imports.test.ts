import assert from 'node:assert/strict';
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { test } from 'node:test';

/* The floors of the house: who may import whom, and how much is in one file. */

/** Folders and files of src/, from the lowest floor up: each imports those before it only. */
const FLOORS = [
	'constants',
	'errors',
	'within',
	'lru',
	'counters',
	'setting-kinds',
	'fair-queue',
	'first-that',
	'on-close',
	'passing-map',
	'kept-entries',
	'race',
	'cache',
	'http',
	'registry',
	'balena',
	'token',
	'page',
	'config',
	'process',
	'app',
	'server',
];

/** One concept each: more than these have room for two. */
const MAX_LINES = 250;

/** What the pure folders may use from outside: nothing that reads a file, opens a connection or knows of Fastify. */
const OUTSIDE: Record<string, RegExp> = {
	registry: /^(node:crypto|lru-cache)$/,
	token: /^node:crypto$/,
	page: /^node:crypto$/,
	// balena/sdk.ts is the one that asks.
	balena: /^(node:crypto|zod|balena-sdk|undici)$/,
};

interface Import {
	from: string;
	/** A file of this project, or the name of a package. */
	to: string;
	isType: boolean;
}

const root = new URL('../../', import.meta.url);
const files = ['src', 'plugins']
	.flatMap((folder) => readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`))
	.filter((file) => file.endsWith('.ts'));
const imports: Import[] = files.flatMap((from) =>
	[...readFileSync(new URL(from, root), 'utf8').matchAll(/^import (type )?[^;]*?from '([^']+)'|\bimport\('([^']+)'\)/gm)].map(
		([, type, named, loaded = '']) => {
			const module = named ?? loaded;
			return { from, to: module.startsWith('.') ? posix.join(posix.dirname(from), module) : module, isType: type !== undefined };
		},
	),
);
const floorOf = (file: string): number => FLOORS.indexOf(file.split('/')[1]!.replace('.ts', ''));

test('every file of src/ has a floor', () =>
	assert.deepEqual(
		files.filter((file) => file.startsWith('src/') && floorOf(file) < 0),
		[],
	));

test('src/ imports downwards only, and of plugins/ nothing but app.ts does', () =>
	assert.deepEqual(
		imports
			.filter(({ from, to }) => from.startsWith('src/') && /^(src|plugins)\//.test(to))
			.filter(({ from, to }) => (to.startsWith('plugins/') ? from !== 'src/app.ts' : floorOf(to) > floorOf(from))),
		[],
	));

test('the pure folders are pure, and only app.ts knows Fastify', () =>
	assert.deepEqual(
		imports
			.filter(({ from, to, isType }) => from.startsWith('src/') && !/^(src|plugins)\//.test(to) && !isType)
			.filter(({ from, to }) => !(OUTSIDE[from.split('/')[1]!] ?? (from === 'src/app.ts' ? /./ : /^(?!fastify)/)).test(to)),
		[],
	));

test('no file needs itself', () => {
	const needs = new Map(files.map((file) => [file, imports.filter(({ from, isType }) => from === file && !isType).map(({ to }) => to)]));
	const done = new Set<string>();
	const follow = (file: string, way: string[]): void => {
		assert.ok(!way.includes(file), [...way, file].join(' -> '));
		if (!done.has(file)) {
			needs.get(file)?.forEach((next) => follow(next, [...way, file]));
			done.add(file);
		}
	};
	files.forEach((file) => follow(file, []));
});

test(`no file has more than ${MAX_LINES} lines, in src/, plugins/ and everywhere else`, () => {
	const all = globSync('**/*.ts', { cwd: root.pathname, exclude: (name) => /(^|\/)(node_modules|\.git)$/.test(name) });
	assert.ok(all.length > files.length);
	assert.deepEqual(
		all
			.map((file) => ({ file, lines: readFileSync(new URL(file, root), 'utf8').split('\n').length - 1 }))
			.filter(({ lines }) => lines > MAX_LINES),
		[],
	);
});
