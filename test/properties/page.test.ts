import fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { ZodError } from 'zod';
import { parseFleetPage } from '../../src/balena/fleet-overview.ts';
import { fileSize, fleetPage } from '../../src/page/fleet-page.ts';
import { homePage, messagePage } from '../../src/page/home-page.ts';
import { html } from '../../src/page/html.ts';
import { readTyped } from '../../src/page/read-typed.ts';
import { anyJson, anyText, asJson, component, name, nearly, version } from './arbitraries.ts';
import { check } from './check.ts';

const MARKUP = [
	'<script>alert(1)</script>',
	'"><img src=x onerror=alert(1)>',
	"' onmouseover='x",
	'</pre>',
	'<!--',
	'-->',
	'&amp;',
	'&#60;',
	'javascript:alert(1)',
	'</title>',
	'{{',
	'`',
];
const hostile = fc.oneof(
	anyText,
	fc.array(fc.constantFrom(...MARKUP), { maxLength: 3 }).map((parts) => parts.join('')),
);

/** The tags and the quotes of a document: what a text must not change. */
const structure = (document: string): string => document.replace(/[^<>"']/g, '');

const trialOf = (text: string) => ({ typed: text, reference: text, outcome: { kind: 'image' as const, version: text, digest: text } });
const releaseOf = (text: string) => ({
	version: text,
	path: text,
	commit: text,
	date: text,
	images: [{ service: text, digest: text, size: 1 }],
});
const fleetOf = (text: string) => ({
	slug: text,
	name: text,
	deviceType: text,
	architecture: text,
	trackedCommit: text,
	releases: [releaseOf(text)],
});

describe('pages', () => {
	check(
		'are of the same structure, whatever texts are in them',
		fc.property(hostile, (text) => {
			// A capital at the beginning may be of another length, and an empty text is a case of its own.
			const given = `x${text}`;
			assert.equal(structure(homePage('bh.cr', trialOf(given))), structure(homePage('bh.cr', trialOf('x'))));
			assert.equal(
				structure(fleetPage('bh.cr', fleetOf(given), releaseOf(given))),
				structure(fleetPage('bh.cr', fleetOf('x'), releaseOf('x'))),
			);
			assert.equal(structure(messagePage('bh.cr', given, given)), structure(messagePage('bh.cr', 'x', 'x')));
		}),
		0.3,
	);
	check(
		'say what they were given to say',
		fc.property(hostile, (text) => {
			const entities: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', '#39': "'" };
			const { text: written } = html`<p>${text}</p>`;
			assert.equal(
				written.slice(3, -4).replace(/&([^;]+);/g, (_all, entity: string) => entities[entity]!),
				text,
			);
		}),
	);
	check(
		'say sizes',
		fc.property(fc.oneof(fc.nat(), fc.maxSafeNat(), fc.double({ min: 0, max: 1e18, noNaN: true })), (bytes) =>
			assert.match(fileSize(bytes), /^$|^[0-9.]+(e\+\d+)? (B|kB|MB|GB|TB)$/),
		),
	);
});

describe('rows for a page', () => {
	const image = fc.record({
		content_hash: anyJson,
		image_size: fc.oneof(fc.nat(), fc.nat().map(String), anyJson),
		is_a_build_of__service: fc.oneof(
			component.map((service_name) => [{ service_name }]),
			anyJson,
		),
	});
	const release = fc.record({
		commit: hostile,
		semver: version,
		raw_version: version,
		revision: fc.nat(3),
		created_at: hostile,
		release_image: fc.array(image, { maxLength: 2 }).map((images) => [{ image: images }]),
	});
	const fleet = fc.record({
		slug: hostile,
		app_name: hostile,
		is_for__device_type: anyJson,
		should_be_running__release: fc.constant([]),
		owns__release: fc.array(release, { maxLength: 3 }),
	});
	check(
		'are read or refused',
		fc.property(fc.oneof(fc.array(fleet, { maxLength: 1 }).map(asJson), anyJson), (rows) => {
			try {
				const parsed = parseFleetPage(rows);
				if (parsed !== undefined) {
					assert.ok(parsed.releases.every(({ images }) => images.every(({ size }) => Number.isFinite(size) && size >= 0)));
				}
			} catch (error) {
				assert.ok(error instanceof ZodError, String(error));
			}
		}),
	);
});

describe('readTyped', () => {
	const around = fc.tuple(
		fc.constantFrom('', 'docker pull ', '  '),
		fc.constantFrom('', 'https://', 'docker://'),
		fc.constantFrom('', 'bh.cr/', 'localhost:5000/'),
		fc.constantFrom('', ':latest', ':2.4.0', `@sha256:${'0'.repeat(64)}`, `:latest@sha256:${'0'.repeat(64)}`),
		fc.constantFrom('', ' ', '\n'),
	);
	check(
		'finds the reference in whatever stands around it',
		fc.property(name, around, (reference, [command, scheme, host, tag, end]) => {
			fc.pre(reference.includes('/') && !reference.startsWith('bh.cr/'));
			assert.equal(readTyped(command + scheme + host + reference + tag + end, ['localhost:5000', 'bh.cr']).name, reference);
		}),
	);
	check(
		'makes something of anything',
		fc.property(nearly(name), (text) => assert.equal(typeof readTyped(text, ['bh.cr']).name, 'string')),
	);
});
