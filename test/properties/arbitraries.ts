import fc, { type Arbitrary } from 'fast-check';

/** What has broken parsers before: other encodings of "..", ends of lines, names of properties, beginnings of URLs, separators. */
const SNIPPETS = [
	...['..', '../', '/..', '/../', './', '%2e%2e', '%2e%2e%2f', '..%2f', '..%5c', '%252e%252e', '%c0%ae', '\\', '..\\'],
	...[
		'\r\n',
		'\r\nx-evil: 1',
		'%0d%0a',
		'\n',
		'\r',
		'\0',
		'%00',
		'\t',
		'\x7f',
		'\x1b[31m',
		' ',
		'%20',
		'\u2028',
		'\u00a0',
		'\ufeff',
		'ſ',
		'K',
		'ä',
		'１',
	],
	...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'then', 'length'],
	...[
		'http://',
		'https://elsewhere/',
		'//elsewhere',
		'//',
		'/',
		'?',
		'#',
		'&',
		'=',
		';',
		':',
		'@',
		'%',
		'%zz',
		'+',
		',',
		'"',
		"'",
		'\\"',
		'~',
		'*',
		'$',
		'<',
		'>',
		'(',
		')',
		'[',
		']',
		'|',
		'`',
		'^',
		'!',
	],
	...[
		'v2',
		'v2/',
		'/v2/',
		'/manifests/',
		'/blobs/',
		'/tags/list',
		'/referrers/',
		'sha256:',
		'sha512:',
		'sha256-',
		'latest',
		'pull',
		'repository:',
		'Bearer ',
		'Basic ',
		'realm=',
	],
	...['.', '_', '__', '___', '-', '--', '_-', '-_', '0', 'a', 'A'],
];

const HEX = [...'0123456789abcdef'];
const ALPHANUMERIC = [...'abcdefghijklmnopqrstuvwxyz0123456789'];

/** Any text whatever, halves of surrogate pairs included. */
export const anyText: Arbitrary<string> = fc.oneof(
	fc.string({ unit: 'binary', maxLength: 60 }),
	fc.string({ unit: 'binary-ascii', maxLength: 60 }),
	fc.array(fc.nat(0xffff), { maxLength: 30 }).map((codes) => String.fromCharCode(...codes)),
	fc.array(fc.constantFrom(...SNIPPETS), { maxLength: 8 }).map((parts) => parts.join('')),
);

/** Texts that nearly are what they should be: with up to three places in which something is cut out and something else put in. */
export function mutated(texts: Arbitrary<string>): Arbitrary<string> {
	const change = fc.record({
		at: fc.nat(1000),
		cut: fc.nat(3),
		put: fc.oneof(
			{ arbitrary: fc.constantFrom(...SNIPPETS), weight: 4 },
			{ arbitrary: fc.string({ unit: 'binary', maxLength: 4 }), weight: 1 },
		),
	});
	return fc.tuple(texts, fc.array(change, { maxLength: 3 })).map(([text, changes]) =>
		changes.reduce((changed, { at, cut, put }) => {
			const i = at % (changed.length + 1);
			return changed.slice(0, i) + put + changed.slice(i + cut);
		}, text),
	);
}

/** A text as it should be, nearly so, or anything. */
export function nearly(texts: Arbitrary<string>): Arbitrary<string> {
	return fc.oneof({ arbitrary: mutated(texts), weight: 6 }, { arbitrary: texts, weight: 1 }, { arbitrary: anyText, weight: 2 });
}

const alphanumeric = fc.string({ unit: fc.constantFrom(...ALPHANUMERIC), minLength: 1, maxLength: 6 });
const separator = fc.constantFrom('.', '_', '__', '-', '--', '---');

/** One part of a repository name, by the distribution-spec's grammar. */
export const component: Arbitrary<string> = fc.oneof(
	{
		arbitrary: fc
			.tuple(alphanumeric, fc.array(fc.tuple(separator, alphanumeric), { maxLength: 3 }))
			.map(([first, rest]) => first + rest.flat().join('')),
		weight: 4,
	},
	{ arbitrary: fc.constantFrom('manifests', 'blobs', 'tags', 'list', 'referrers', 'v2', 'latest', 'constructor', 'prototype'), weight: 1 },
);

/** A repository name by that grammar. */
export const name: Arbitrary<string> = fc
	.array(component, { minLength: 1, maxLength: 6 })
	.map((parts) => parts.join('/'))
	.filter((text) => text.length <= 255);

const hex = (length: number): Arbitrary<string> => fc.string({ unit: fc.constantFrom(...HEX), minLength: length, maxLength: length });

export const repository: Arbitrary<string> = fc.integer({ min: 32, max: 64 }).chain((length) => hex(length).map((hash) => `v2/${hash}`));

export const digest: Arbitrary<string> = fc.oneof(
	hex(64).map((text) => `sha256:${text}`),
	hex(128).map((text) => `sha512:${text}`),
);

export const fallbackTag: Arbitrary<string> = fc
	.tuple(hex(64), fc.constantFrom('', '.sig', '.att', '.sbom'))
	.map(([text, suffix]) => `sha256-${text}${suffix}`);

const TAG_START = [...ALPHANUMERIC, 'A', 'Z', '_'];

export const tag: Arbitrary<string> = fc
	.tuple(fc.constantFrom(...TAG_START), fc.string({ unit: fc.constantFrom(...TAG_START, '.', '-'), maxLength: 20 }))
	.map(([first, rest]) => first + rest);

export const version: Arbitrary<string> = fc
	.tuple(fc.nat(20), fc.nat(20), fc.nat(20), fc.constantFrom('', '-1648554962021', '+rev1', '-beta.1'))
	.map(([major, minor, patch, suffix]) => `${major}.${minor}.${patch}${suffix}`);

/** Printable ASCII, which is what headers and keys may hold. */
export const printable: Arbitrary<string> = fc.string({ unit: 'grapheme-ascii', maxLength: 40 });

/** An API key, or anything else of printable ASCII without spaces. */
export const secret: Arbitrary<string> = fc
	.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 40 })
	.filter((text) => !text.includes(' '));

/** What JSON makes of a value: it has no objects without a prototype, and no undefined. */
export function asJson(value: unknown): unknown {
	return JSON.parse(JSON.stringify(value));
}

/** Any JSON value, some of whose keys are names, and some of whose texts are nearly what they should be. */
export const anyJson: Arbitrary<unknown> = fc
	.letrec<{ value: unknown }>((tie) => ({
		value: fc.oneof(
			{ maxDepth: 3, depthSize: 'small' },
			fc.oneof(
				nearly(name),
				nearly(repository),
				nearly(digest),
				nearly(version),
				fc.double(),
				fc.integer(),
				fc.boolean(),
				fc.constant(null),
			),
			fc.array(tie('value'), { maxLength: 4 }),
			fc.dictionary(
				fc.oneof(name, fc.constantFrom('n', 's', 'code', 'message', 'access', 'exp', 'alias', 'name', 'type', '__proto__', 'constructor')),
				tie('value'),
				{ maxKeys: 4 },
			),
		),
	}))
	.value.map(asJson);

export function base64url(text: string): string {
	return Buffer.from(text).toString('base64url');
}
