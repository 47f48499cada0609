import { ARCHITECTURES } from '../../src/balena/architectures.ts';
import type { BlockImage } from '../../src/balena/block.ts';
import { blockGrant, repositoriesOf, type FailureGrant, type Grant, type ImageGrant } from '../../src/token/grant.ts';
import fc, { type Arbitrary } from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { RegistryError, STATUS_OF_CODE, type ErrorCode } from '../../src/errors.ts';
import { errorResponse } from '../../src/registry/error-response.ts';
import { parseReference } from '../../src/balena/reference.ts';
import { isDigest } from '../../src/registry/digest.ts';
import { isRepository } from '../../src/registry/name.ts';
import { mayUse, seal, sealingKey, unseal, type Sealed } from '../../src/token/seal.ts';
import { formatToken, MAX_GRANTS, MAX_TOKEN_LENGTH, parseToken, readJwt, type ClientToken } from '../../src/token/client-token.ts';
import { anyJson, anyText, base64url, digest, name, nearly, printable, repository, secret, version } from './arbitraries.ts';
import { assertHeader, check } from './check.ts';
import { isNameByHand } from './oracles.ts';

const CODES = (Object.keys(STATUS_OF_CODE) as ErrorCode[]).filter((code) => STATUS_OF_CODE[code] < 500);
const base64urlText = fc.string({ unit: fc.constantFrom(...'ABCxyz019-_'), minLength: 1, maxLength: 40 });
const jwt = fc.tuple(base64urlText, base64urlText, base64urlText).map((parts) => parts.join('.'));

const record = <T>(model: { [K in keyof T]: Arbitrary<T[K]> }): Arbitrary<T> => fc.record(model, { noNullPrototype: true }) as Arbitrary<T>;
const imageOrFailure: Arbitrary<ImageGrant | FailureGrant> = fc.oneof(
	record<ImageGrant>({ kind: fc.constant('image' as const), repository, version: fc.oneof(version, fc.constant('')) }),
	record<FailureGrant>({
		kind: fc.constant('failure' as const),
		code: fc.constantFrom(...CODES),
		message: fc.string({ unit: 'binary', maxLength: 60 }),
	} as never),
);
const blockImages: Arbitrary<BlockImage[]> = fc
	.tuple(
		...ARCHITECTURES.map(({ name: architecture }) =>
			fc.option(
				record<BlockImage>({
					architecture: fc.constant(architecture),
					repository,
					version: fc.oneof(version, fc.constant('')),
					digest: fc.option(digest, { nil: undefined }),
				}),
				{ nil: undefined },
			),
		),
	)
	.map((images) => images.filter((image) => image !== undefined));
/** A name with what it means; only a fleet's name can come to mean another release, or those of several fleets. */
const granted: Arbitrary<[string, Grant]> = fc
	.tuple(name, imageOrFailure, fc.boolean(), fc.option(digest, { nil: undefined }), fc.option(blockImages, { nil: [] }))
	.map(([text, current, canMove, of, images]) => {
		const reference = parseReference(text);
		if (reference.kind === 'fleet' && images.length > 0) {
			return [text, blockGrant(reference, images)];
		}
		return [
			text,
			canMove && reference.kind === 'fleet'
				? { kind: 'fleet', slug: reference.slug, isBare: reference.isBare, current, digest: of }
				: current,
		];
	});
const token: Arbitrary<ClientToken> = record<ClientToken>({
	upstream: fc.oneof(
		jwt,
		fc.constant(''),
		jwt.map((text) => `${text}~x`),
	),
	grants: fc.uniqueArray(granted, { maxLength: MAX_GRANTS, selector: ([key]) => key }).map((entries) => new Map(entries)),
	sealed: fc.option(base64urlText, { nil: undefined }),
});

/** Every part by its grammar: this is all that stands between a forged token and a URL, a header or a log line. */
function assertValid({ upstream, grants, sealed }: ClientToken): void {
	assert.match(upstream, /^[A-Za-z0-9._~+/=-]*$/);
	assert.ok(upstream.length <= MAX_TOKEN_LENGTH);
	assert.match(sealed ?? 'x', /^[A-Za-z0-9_-]+$/);
	assert.ok(grants.size <= MAX_GRANTS);
	for (const [key, grant] of grants) {
		assert.ok(isNameByHand(key), key);
		if (grant.kind === 'fleet' || grant.kind === 'block') {
			assert.ok(key === grant.slug ? grant.isBare : key.startsWith(`${grant.slug}/`) && !grant.isBare);
		}
		const granted = grant.kind === 'fleet' ? grant.current : grant;
		assert.ok(repositoriesOf(grant).every(isRepository));
		switch (granted.kind) {
			case 'block': {
				const names = ARCHITECTURES.map(({ name: architecture }) => architecture);
				const own = granted.images.map(({ architecture }) => architecture);
				assert.ok(own.length > 0);
				assert.deepEqual(
					own,
					names.filter((each) => own.includes(each)),
				);
				for (const image of granted.images) {
					assert.match(image.version, /^[0-9A-Za-z.+_-]{0,128}$/);
					assert.ok(image.digest === undefined || isDigest(image.digest));
				}
				break;
			}
			case 'image':
				assert.ok(isRepository(granted.repository));
				assert.match(granted.version, /^[0-9A-Za-z.+_-]{0,128}$/);
				break;
			case 'failure': {
				assert.ok(STATUS_OF_CODE[granted.code] < 500 && granted.message.length <= 500);
				const { headers, reason = '' } = errorResponse(
					new RegistryError(granted.code, granted.message, { forPeople: true }),
					'containerd/2',
				);
				[reason, ...Object.values(headers)].forEach(assertHeader);
			}
		}
	}
}

describe('tokens of clients', () => {
	check(
		'are read back as they were written',
		fc.property(token, (given) => assert.deepEqual(parseToken(formatToken(given)), given)),
	);
	check(
		'are legal bearer tokens',
		fc.property(token, (given) => assert.match(formatToken(given), /^[A-Za-z0-9._~+/-]+=*$/)),
	);
	check(
		'are valid in every part or not read at all, if they are changed',
		fc.property(nearly(token.map(formatToken)), (text) => {
			const read = parseToken(text);
			if (read !== undefined) {
				assertValid(read);
				if (text.includes('~')) {
					assert.deepEqual(parseToken(formatToken(read)), read);
				}
			}
		}),
	);
	check(
		'are valid in every part or not read at all, whatever JSON is in them',
		fc.property(
			jwt,
			fc.oneof(
				anyJson,
				fc.dictionary(fc.oneof(nearly(name), fc.constant('__proto__')), anyJson, { maxKeys: 4 }).map((n) => ({ n })),
				fc.record({ n: anyJson, s: anyJson }),
			),
			(upstream, payload) => {
				const read = parseToken(`${upstream}~${base64url(JSON.stringify(payload))}`);
				if (read !== undefined) {
					assertValid(read);
				}
			},
		),
	);
	check(
		'are valid in every part or not read at all, whatever the entries of the map are',
		fc.property(
			nearly(name),
			fc.oneof(
				fc.tuple(nearly(repository), nearly(version)),
				fc.record({ code: fc.oneof(fc.constantFrom(...Object.keys(STATUS_OF_CODE)), anyText), message: fc.oneof(anyText, anyJson) }),
			),
			(key, entry) => {
				const read = parseToken(`a.b.c~${base64url(JSON.stringify({ n: { [key]: entry } }))}`);
				if (read !== undefined) {
					assertValid(read);
				}
			},
		),
	);
	check(
		'of any bytes after the "~" are read or not, and that is all',
		fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => void parseToken(`a.b.c~${Buffer.from(bytes).toString('base64url')}`)),
	);
});

describe("the balena API's own tokens", () => {
	const access = fc.array(
		fc.oneof(
			anyJson,
			fc.record({ type: fc.constantFrom('repository', 'registry'), name: nearly(repository), alias: nearly(name), actions: anyJson }),
		),
		{ maxLength: 20 },
	);
	check(
		'give only valid names and repositories',
		fc.property(access, (entries) => {
			const read = parseToken(`h.${base64url(JSON.stringify({ access: entries }))}.s`);
			assert.ok(read);
			assertValid(read);
		}),
	);
	check(
		'are read as far as they are legible',
		fc.property(
			fc.oneof(
				anyText,
				anyJson.map((claims) => `h.${base64url(JSON.stringify(claims))}.s`),
			),
			(text) => {
				const { expiresAt, access: entries } = readJwt(text);
				assert.ok(expiresAt === undefined || typeof expiresAt === 'number');
				assert.ok(!Number.isNaN(expiresAt));
				assert.ok(Array.isArray(entries));
			},
		),
	);
});

describe('sealed credentials', () => {
	const key = sealingKey('a secret of at least thirty-two characters');
	const content: Arbitrary<Sealed> = record<Sealed>({
		authorization: secret,
		slugs: fc.array(name, { minLength: 1, maxLength: 3 }),
		expiresAt: fc.integer({ min: 1, max: 2 ** 43 }),
	});

	check(
		'are read back for their fleets, until they expire, and for nothing else',
		fc.property(content, name, fc.integer({ min: 0, max: 2 ** 43 }), (sealed, other, now) => {
			const text = seal(sealed, key);
			for (const slug of [...sealed.slugs, other]) {
				assert.deepEqual(unseal(text, key), sealed);
				assert.equal(mayUse(sealed, slug, now), sealed.slugs.includes(slug) && now < sealed.expiresAt);
			}
		}),
	);
	check(
		'are not read when anything in them was changed',
		fc.property(content, fc.nat(10_000), fc.integer({ min: 1, max: 255 }), (sealed, at, change) => {
			const bytes = Buffer.from(seal(sealed, key), 'base64url');
			bytes[at % bytes.length]! ^= change;
			assert.equal(unseal(bytes.toString('base64url'), key), undefined);
		}),
	);
	check(
		'are not made of other texts',
		fc.property(
			fc.oneof(
				anyText,
				printable,
				fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
			),
			(text) => assert.equal(unseal(text, key), undefined),
		),
	);
});
