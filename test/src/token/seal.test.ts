import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mayUse, seal, sealingKey, unseal, type Sealed } from '../../../src/token/seal.ts';
import { table } from '../../support/table.ts';

const KEY = sealingKey('a secret of at least thirty-two characters');
const OTHER_KEY = sealingKey('another secret of at least thirty-two characters');
const NOW = 1_700_000_000_000;
const CONTENT: Sealed = { authorization: 'Bearer key', slugs: ['org/app', 'org/other'], expiresAt: NOW + 1 };
const TEXT = seal(CONTENT, KEY);

/** The sealed text with one of its bytes changed. */
const tampered = (at: number): string => {
	const bytes = Buffer.from(TEXT, 'base64url');
	bytes[at]! ^= 1;
	return bytes.toString('base64url');
};

describe('unseal: who may act, for which fleet, until when', () => {
	table<[slug: string, now: number, text?: string, key?: Buffer]>(
		[
			[['org/app', NOW], 'Bearer key'],
			[['org/other', NOW], 'Bearer key'],
			// Sealed by an earlier process of this very version: replicas of both read each other's.
			[
				[
					'org/app',
					NOW,
					'D1daPAXWFczaZSHgiU9rByFmkvnSiQFbN_o66J1LlQLyBRKu-s8jDd88MO71RkxQvyQ_TjtL_zymon2xXvNIGJc8igJd33iheq1Qe9n9nPz-e0D2N19Bukjon18nJUzvp9XhXJA_gUPltdoJ',
				],
				'Basic dTprZXk=',
			],
			[['org/app', 0], 'Bearer key'],
			// Too old, for another fleet, with another key.
			[['org/app', NOW + 1], undefined],
			[['org/app', NOW + 2], undefined],
			[['org/third', NOW], undefined],
			[['org', NOW], undefined],
			[['org/app/2.4.0', NOW], undefined],
			[['', NOW], undefined],
			[['org/app', NOW, TEXT, OTHER_KEY], undefined],
			// Changed: the nonce, the tag, the contents, the length.
			[['org/app', NOW, tampered(0)], undefined],
			[['org/app', NOW, tampered(12)], undefined],
			[['org/app', NOW, tampered(28)], undefined],
			[['org/app', NOW, tampered(Buffer.from(TEXT, 'base64url').length - 1)], undefined],
			[['org/app', NOW, TEXT.slice(0, -4)], undefined],
			[['org/app', NOW, `${TEXT}AAAA`], undefined],
			[['org/app', NOW, TEXT.slice(0, 36)], undefined],
			[['org/app', NOW, ''], undefined],
			[['org/app', NOW, 'AAAA'], undefined],
			[['org/app', NOW, 'A'.repeat(100)], undefined],
			[['org/app', NOW, '!!!'], undefined],
		],
		([slug, now, text = TEXT, key = KEY]) => {
			const content = unseal(text, key);
			return content !== undefined && mayUse(content, slug, now) ? content.authorization : undefined;
		},
	);
});

describe('seal', () => {
	test('can stand in a token', () => assert.match(TEXT, /^[A-Za-z0-9_-]+$/));
	test('shows nothing of the contents', () => assert.doesNotMatch(Buffer.from(TEXT, 'base64url').toString('latin1'), /Bearer|key|org|app/));
	test('never gives the same text twice, because a nonce must not be used again', () =>
		assert.equal(new Set(Array.from({ length: 100 }, () => seal(CONTENT, KEY))).size, 100));
});

describe('sealingKey', () => {
	test('is the same for the same secret, so that replicas read what others sealed', () =>
		assert.deepEqual(sealingKey('s'), sealingKey('s')));
	test('is another for another secret', () => assert.notDeepEqual(sealingKey('s'), sealingKey('t')));
	test('has the 256 bits of the cipher', () => assert.equal(KEY.length, 32));
});
