import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { homePage, messagePage, type Trial } from '../../../src/page/home-page.ts';
import { shown } from '../../support/shown.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

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
			name: 'says what a block has',
			trial: trial({
				kind: 'block',
				images: ['amd64', 'aarch64'].map((architecture) => ({ architecture, repository: 'v2/0123', version: '1.0.0', digest: DIGEST })),
			}),
			has: [
				'for several architectures: amd64 (release 1.0.0), aarch64 (release 1.0.0).',
				'docker pull bh.cr/acme/fleet\n',
				'bh.cr/org/block',
			],
			hasNot: ['v2/0123'],
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
	test('names no blocks where there are none', () => assert.ok(!shown(homePage('bh.cr', undefined, false)).includes('org/block')));
	test('escapes what was typed', () => {
		const evil = '"><script>x';
		const page =
			homePage(evil, { typed: evil, reference: evil, outcome: { kind: 'failure', message: evil }, page: evil, notes: [evil] }) +
			messagePage(evil, evil, evil, evil);
		assert.doesNotMatch(page, /"><script>x/);
	});
});
