import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FleetPageData, PageRelease } from '../../src/balena/fleet-page.ts';
import { fileSize, fleetPage } from '../../src/page/fleet-page.ts';
import { html } from '../../src/page/html.ts';
import { homePage } from '../../src/page/home-page.ts';
import { typedReference } from '../../src/page/typed-reference.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

function release(version: string, services: string[], more: Partial<PageRelease> = {}): PageRelease {
	return { version, path: version, commit: version.padEnd(32, '0'), date: '2026-01-02', images: services.map((service) => ({ service, digest: DIGEST, size: 1_500_000 })), ...more };
}

function fleet(releases: PageRelease[]): FleetPageData {
	return { slug: 'acme/fleet', name: 'fleet', deviceType: 'Raspberry Pi 4', architecture: 'aarch64', trackedCommit: releases[0]?.commit, releases };
}

describe('html', () => {
	for (const [value, text] of [
		['<script>', '&lt;script&gt;'],
		['" onload="x', '&quot; onload=&quot;x'],
		["'&", '&#39;&amp;'],
		[7, '7'],
		[undefined, ''],
	] as const) {
		test(`writes ${String(value)} as ${text}`, () => assert.equal(html`<p title="${value}">${value}</p>`.text, `<p title="${text}">${text}</p>`));
	}
	test('joins lists, and does not escape what is HTML already', () => assert.equal(html`${[html`<b>1</b>`, '<']}`.text, '<b>1</b>&lt;'));
});

describe('the page of a fleet', () => {
	test('has the lines to copy for one service', () => {
		const page = fleetPage('bh.cr', fleet([release('2.4.0', ['main'])]), release('2.4.0', ['main']));
		for (const line of ['docker pull bh.cr/acme/fleet/2.4.0<', '    image: bh.cr/acme/fleet/2.4.0<', 'FROM bh.cr/acme/fleet/2.4.0<', `bh.cr/acme/fleet/2.4.0@${DIGEST}<`, 'aarch64', 'Raspberry Pi 4', '1.5 MB', '2026-01-02']) {
			assert.ok(page.includes(line), line);
		}
	});

	test('names each of several services, in lower case', () => {
		const page = fleetPage('bh.cr', fleet([]), release('1.0.0', ['db', 'Web']));
		assert.match(page, /docker pull bh\.cr\/acme\/fleet\/1\.0\.0\/db\ndocker pull bh\.cr\/acme\/fleet\/1\.0\.0\/web</);
	});

	test('says that there is nothing yet', () => assert.match(fleetPage('bh.cr', fleet([]), undefined), /no release to pull yet/));

	test('escapes what the API says', () => {
		const evil = '<img src=x onerror=alert(1)>';
		const page = fleetPage('bh.cr', { ...fleet([release(evil, [evil])]), name: evil, deviceType: evil }, release(evil, [evil]));
		assert.doesNotMatch(page, /<img/);
	});
});

test('the home page escapes what was typed', () => {
	const page = homePage('bh.cr', { typed: '"><script>', reference: '"><script>', outcome: { kind: 'failure', message: '"><script> is nothing' } });
	assert.doesNotMatch(page, /"><script> is|value=""><script>/);
});

describe('what was typed', () => {
	for (const [typed, reference] of [
		['acme/fleet', 'acme/fleet'],
		['  docker pull bh.cr/acme/fleet/2.4.0:latest ', 'acme/fleet/2.4.0'],
		['https://bh.cr/acme/fleet/', 'acme/fleet'],
		[`bh.cr/acme/fleet@${DIGEST}`, 'acme/fleet'],
		['localhost:5000/acme/fleet:1', 'acme/fleet'],
		['FROM BH.CR/Acme/Fleet', 'acme/fleet'],
		['', ''],
	] as const) {
		test(`${JSON.stringify(typed)} means ${JSON.stringify(reference)}`, () => assert.equal(typedReference(typed, ['localhost:5000', 'bh.cr']), reference));
	}
});

describe('sizes', () => {
	for (const [bytes, text] of [[0, ''], [1, '1 B'], [999, '999 B'], [1000, '1.0 kB'], [99_100, '99.1 kB'], [1_500_000, '1.5 MB'], [2.5e9, '2.5 GB']] as const) {
		test(`${bytes} is ${JSON.stringify(text)}`, () => assert.equal(fileSize(bytes), text));
	}
});
