import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_RELEASES, type FleetPageData, type PageRelease } from '../../src/balena/fleet-overview.ts';
import { fileSize, fleetPage } from '../../src/page/fleet-page.ts';
import { html } from '../../src/page/html.ts';
import { homePage, messagePage, type Trial } from '../../src/page/home-page.ts';
import { sentence } from '../../src/page/layout.ts';
import { snippets, yaml } from '../../src/page/snippets.ts';
import { readTyped } from '../../src/page/typed-reference.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const HOSTS = ['localhost:5000', 'bh.cr'];

function release(version: string, services: string[], more: Partial<PageRelease> = {}): PageRelease {
	return {
		version,
		path: version,
		commit: version.padEnd(32, '0'),
		date: '2026-01-02',
		images: services.map((service) => ({ service, digest: DIGEST, size: 1_500_000 })),
		...more,
	};
}

function fleet(releases: PageRelease[]): FleetPageData {
	return {
		slug: 'acme/fleet',
		name: 'fleet',
		deviceType: 'Raspberry Pi 4',
		architecture: 'aarch64',
		trackedCommit: releases[0]?.commit,
		releases,
	};
}

/** What a browser shows of a page, a line of it a line. */
function shown(page: string): string {
	const [, body = ''] = page.split('<main>');
	const entities: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', '#39': "'" };
	return body.replace(/<[^>]*>/g, '').replace(/&([^;]+);/g, (_all, entity: string) => entities[entity]!);
}

describe('html', () => {
	for (const [value, text] of [
		['<script>', '&lt;script&gt;'],
		['" onload="x', '&quot; onload=&quot;x'],
		["'&", '&#39;&amp;'],
		[7, '7'],
		[undefined, ''],
	] as const) {
		test(`writes ${String(value)} as ${text}`, () =>
			assert.equal(html`<p title="${value}">${value}</p>`.text, `<p title="${text}">${text}</p>`));
	}
	test('joins lists, and does not escape what is HTML already', () => assert.equal(html`${[html`<b>1</b>`, '<']}`.text, '<b>1</b>&lt;'));
});

describe('the page of a fleet', () => {
	const one = release('2.4.0', ['main']);
	const rows: { name: string; page: string; has: (string | RegExp)[]; hasNot?: (string | RegExp)[] }[] = [
		{
			name: 'has the lines to copy, also with the digest, and the facts',
			page: fleetPage('bh.cr', fleet([one]), one),
			has: [
				'docker pull bh.cr/acme/fleet/2.4.0\n',
				`docker pull bh.cr/acme/fleet/2.4.0@${DIGEST}\n`,
				'services:\n  main:\n    image: bh.cr/acme/fleet/2.4.0\n',
				`    image: bh.cr/acme/fleet/2.4.0@${DIGEST}\n`,
				'FROM bh.cr/acme/fleet/2.4.0\n',
				`FROM bh.cr/acme/fleet/2.4.0@${DIGEST}\n`,
				'kind: Pod\nmetadata:\n  name: fleet\nspec:\n  containers:\n    - name: main\n      image: bh.cr/acme/fleet/2.4.0\n',
				`      image: bh.cr/acme/fleet/2.4.0@${DIGEST}\n`,
				'aarch64',
				'Raspberry Pi 4',
				'1.5 MB',
				'2026-01-02',
				'tracked',
			],
			hasNot: ['invalidated'],
		},
		{
			name: 'names each of several services, in lower case',
			page: fleetPage('bh.cr', fleet([]), release('1.0.0', ['db', 'Web'])),
			has: [
				'docker pull bh.cr/acme/fleet/1.0.0/db\ndocker pull bh.cr/acme/fleet/1.0.0/web\n',
				'  Web:\n    image: bh.cr/acme/fleet/1.0.0/web\n',
				'FROM bh.cr/acme/fleet/1.0.0/db\nFROM',
				'    - name: web\n',
			],
		},
		{
			name: 'shows one of several services, and where the others are',
			page: fleetPage('bh.cr', fleet([]), release('1.0.0', ['db', 'Web']), 'web'),
			has: ['Release 1.0.0, service web', 'docker pull bh.cr/acme/fleet/1.0.0/web\n', 'All 2 services'],
			hasNot: ['1.0.0/db'],
		},
		{
			name: 'says that there is nothing yet',
			page: fleetPage('bh.cr', fleet([]), undefined),
			has: ['no release to pull yet'],
			hasNot: ['docker pull'],
		},
		{
			name: 'says so where a release has no image',
			page: fleetPage('bh.cr', fleet([]), release('1.0.0', [])),
			has: ['no image to pull'],
			hasNot: ['docker pull'],
		},
		{
			name: 'offers no digest where nobody knows it',
			page: fleetPage('bh.cr', fleet([]), release('1.0.0', [], { images: [{ service: 'main', digest: undefined, size: 0 }] })),
			has: ['docker pull bh.cr/acme/fleet/1.0.0\n'],
			hasNot: ['@', 'digest', 'undefined'],
		},
		{
			name: 'says nothing of what is not known',
			page: fleetPage(
				'bh.cr',
				{ ...fleet([]), architecture: undefined, deviceType: undefined },
				release('1.0.0', ['main'], { commit: '', date: '' }),
			),
			has: ['Release 1.0.0'],
			hasNot: ['undefined', 'commit', 'tracked'],
		},
		{
			name: 'marks what was taken back',
			page: fleetPage('bh.cr', fleet([]), release('1.0.0', ['main'], { isInvalidated: true })),
			has: ['invalidated'],
		},
		{
			name: 'says that its list has an end',
			page: fleetPage('bh.cr', fleet(Array.from({ length: MAX_RELEASES }, (_, i) => release(`1.0.${i}`, ['main']))), undefined),
			has: ['The newest 30.'],
		},
		{
			name: 'copies no service into a shell that is no name',
			page: fleetPage('bh.cr', fleet([]), release('1.0.0', ['db', 'web; rm -rf ~', 'x\ny'])),
			has: ['docker pull bh.cr/acme/fleet/1.0.0/db\n'],
			hasNot: ['rm -rf'],
		},
	];
	for (const { name, page, has, hasNot = [] } of rows) {
		test(name, () => {
			for (const text of has) {
				assert.ok(shown(page).includes(text as string), `${String(text)} in\n${shown(page)}`);
			}
			for (const text of hasNot) {
				assert.ok(!shown(page).includes(text as string), `${String(text)} in\n${shown(page)}`);
			}
		});
	}

	test('has links to the other releases, and not to the one that is shown', () => {
		const page = fleetPage('bh.cr', fleet([one, release('2.3.0+rev1', ['main'], { path: '2.3.0' })]), one);
		assert.deepEqual(
			[...page.matchAll(/href="([^"]*)"/g)].map(([, href]) => href),
			['/', '/acme/fleet/2.3.0'],
		);
	});

	test('escapes what the API says', () => {
		const evil = '<img src=x onerror=alert(1)>';
		const page = fleetPage(
			'bh.cr',
			{ ...fleet([release(evil, [evil])]), name: evil, deviceType: evil, architecture: evil },
			release(evil, [evil], { commit: evil, date: evil }),
		);
		assert.doesNotMatch(page, /<img/);
	});
});

describe('lines for YAML', () => {
	for (const [text, written] of [
		['main', 'main'],
		['my_service-2.x', 'my_service-2.x'],
		['bh.cr/acme/fleet/2.4.0', 'bh.cr/acme/fleet/2.4.0'],
		['127.0.0.1:8080/acme/fleet', '127.0.0.1:8080/acme/fleet'],
		[`bh.cr/acme/fleet@${DIGEST}`, `bh.cr/acme/fleet@${DIGEST}`],
		['[::1]:80/acme/fleet', '"[::1]:80/acme/fleet"'],
		['on', '"on"'],
		['No', '"No"'],
		['null', '"null"'],
		['007', '"007"'],
		['1e3', '"1e3"'],
		['a: b', '"a: b"'],
		['a\nb', '"a\\nb"'],
		['# x', '"# x"'],
		['', '""'],
	] as const) {
		test(`${JSON.stringify(text)} is ${written}`, () => assert.equal(yaml(text), written));
	}
	test('Kubernetes gets labels', () => {
		const { lines } = snippets('My_Fleet', [
			{ service: '_Some.Service_', reference: 'x/y' },
			{ service: '', reference: 'x/z' },
		]).at(-1)!;
		assert.deepEqual(
			lines.filter((line) => line.includes('name:')),
			['  name: my-fleet', '    - name: some-service', '    - name: main'],
		);
	});
	test('a long name is cut to what Kubernetes takes', () =>
		assert.match(snippets(`${'a'.repeat(62)}-b`, []).at(-1)!.lines[3]!, /^ {2}name: a{62}$/));
});

describe('the home page', () => {
	const trial = (outcome: Trial['outcome'], more: Partial<Trial> = {}): Trial => ({
		typed: 'docker pull bh.cr/acme/fleet',
		reference: 'acme/fleet',
		outcome,
		...more,
	});
	const rows: { name: string; trial: Trial | undefined; has: string[]; hasNot?: string[] }[] = [
		{ name: 'explains the names', trial: undefined, has: ['bh.cr/org/fleet/2.4.0/service', 'docker login bh.cr', 'Try a reference'] },
		{
			name: 'says what a reference is',
			trial: trial({ kind: 'image', version: '2.4.0', digest: DIGEST, repository: 'v2/0123' }, { notes: ['A note.'] }),
			has: [
				'acme/fleet is release 2.4.0.',
				'docker pull bh.cr/acme/fleet\n',
				`docker pull bh.cr/acme/fleet@${DIGEST}\n`,
				'v2/0123',
				'A note.',
			],
		},
		{
			name: 'leaves out what is not known',
			trial: trial({ kind: 'image', version: '2.4.0', digest: undefined }),
			has: ['docker pull bh.cr/acme/fleet\n'],
			hasNot: ['undefined', '@', 'stores'],
		},
		{
			name: 'says why there is nothing, and where to look',
			trial: trial({ kind: 'failure', message: 'acme/fleet has no release 3' }, { page: 'acme/fleet' }),
			has: ['acme/fleet has no release 3.', 'What there is to pull'],
		},
		{
			name: 'does not lead to what is not there',
			trial: trial({ kind: 'failure', message: 'there is no public fleet acme/fleet' }),
			has: ['There is no public fleet acme/fleet.'],
			hasNot: ['What there is to pull'],
		},
	];
	for (const { name, trial, has, hasNot = [] } of rows) {
		test(name, () => {
			const text = shown(homePage('bh.cr', trial));
			for (const part of has) {
				assert.ok(text.includes(part), `${part} in\n${text}`);
			}
			for (const part of hasNot) {
				assert.ok(!text.includes(part), `${part} in\n${text}`);
			}
		});
	}
	test('escapes what was typed', () => {
		const evil = '"><script>x';
		const page =
			homePage(evil, { typed: evil, reference: evil, outcome: { kind: 'failure', message: evil }, page: evil, notes: [evil] }) +
			messagePage(evil, evil, evil, evil);
		assert.doesNotMatch(page, /"><script>x/);
	});
});

describe('sentences', () => {
	for (const [text, written] of [
		['there is nothing', 'There is nothing.'],
		['release 1 of acme/fleet', 'Release 1 of acme/fleet.'],
		// A name would be another one with a capital.
		['acme/fleet has no release 3', 'acme/fleet has no release 3.'],
		['"x" is not a reference', '"x" is not a reference.'],
	] as const) {
		test(written, () => assert.equal(sentence(text), written));
	}
});

describe('what was typed', () => {
	const rows: [typed: string, name: string, tag?: string, digest?: string][] = [
		['acme/fleet', 'acme/fleet'],
		['  docker pull bh.cr/acme/fleet/2.4.0:latest ', 'acme/fleet/2.4.0', 'latest'],
		['https://bh.cr/acme/fleet/', 'acme/fleet'],
		['https://bh.cr/acme/fleet?reference=x#releases', 'acme/fleet'],
		[`bh.cr/acme/fleet@${DIGEST}`, 'acme/fleet', undefined, DIGEST],
		[`bh.cr/acme/fleet:1.0@${DIGEST}`, 'acme/fleet', '1.0', DIGEST],
		['localhost:5000/acme/fleet:1', 'acme/fleet', '1'],
		['localhost:5000/acme/fleet', 'acme/fleet'],
		['FROM BH.CR/Acme/Fleet AS build', 'acme/fleet'],
		['image: "bh.cr/acme/fleet/2.4.0"', 'acme/fleet/2.4.0'],
		['docker run -v /data:/data bh.cr/acme/fleet:2 /bin/sh', 'acme/fleet', '2'],
		['docker pull acme/fleet -q', 'acme/fleet'],
		['docker pull bh.cr/acme/fleet --platform linux/arm64', 'acme/fleet'],
		['docker://bh.cr/acme/fleet', 'acme/fleet'],
		['acme/fleet:', 'acme/fleet'],
		['fleet', 'fleet'],
		['', ''],
	];
	for (const [typed, name, tag, digest] of rows) {
		test(`${JSON.stringify(typed)} means ${[name, tag, digest].join(' ')}`, () =>
			assert.deepEqual(readTyped(typed, HOSTS), { name, tag, digest }));
	}
});

describe('sizes', () => {
	for (const [bytes, text] of [
		[0, ''],
		[1, '1 B'],
		[999, '999 B'],
		[1000, '1.0 kB'],
		[99_100, '99.1 kB'],
		[1_500_000, '1.5 MB'],
		[2.5e9, '2.5 GB'],
		[Infinity, ''],
	] as const) {
		test(`${bytes} is ${JSON.stringify(text)}`, () => assert.equal(fileSize(bytes), text));
	}
});
