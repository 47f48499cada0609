import fc, { type Arbitrary } from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { ZodError } from 'zod';
import { ambiguousCommit, closestVersion, explainNoRelease, noSuchFleet, pickImage, type Failure } from '../../src/balena/explain.ts';
import { parseRelease } from '../../src/balena/reference.ts';
import {
	matchRelease,
	parseFleet,
	parseReleases,
	parseVersions,
	versionOf,
	type Image,
	type MatchedRelease,
} from '../../src/balena/release.ts';
import { isDigest } from '../../src/registry/digest.ts';
import { isRepository } from '../../src/registry/name.ts';
import { formatToken, parseToken } from '../../src/token/client-token.ts';
import { anyJson, anyText, asJson, component, digest, nearly, repository, version } from './arbitraries.ts';
import { check } from './check.ts';

// Of few values, so that names often meet releases.
const semver = fc.tuple(fc.nat(2), fc.nat(2), fc.nat(2)).map((parts) => parts.join('.'));
const commit = fc.string({ unit: fc.constantFrom('a', '1'), minLength: 6, maxLength: 9 });
const typed = fc.oneof(
	semver,
	semver.map((text) => `v${text}`),
	commit,
	fc.constantFrom('1', '2', '1.0', '2.1', 'v1', 'v2.0', '1.0.0-1', '1.0.0+rev1'),
	component,
);
const image: Arbitrary<Image> = fc.record({
	service: fc.oneof(component, anyText, fc.constantFrom('main', 'Main', 'db')),
	repository,
	digest: fc.option(digest, { nil: undefined }),
});
const candidate: Arbitrary<MatchedRelease> = fc
	.record({
		semver,
		commit,
		suffix: fc.constantFrom('', '-1', '+rev1'),
		status: fc.constantFrom('success', 'failed', 'running'),
		images: fc.array(image, { maxLength: 3 }),
	})
	.map(({ semver: text, commit: hex, suffix, status, images }) => {
		const [major, minor] = text.split('.').map(Number);
		return { commit: hex, semver: text, rawVersion: text + suffix, isFinal: suffix !== '-1', status, major, minor, images };
	});
const candidates = fc.array(candidate, { maxLength: 8 });

/** A failure can travel in a token, and says something of itself. */
function assertTells({ code, message }: Failure): void {
	assert.equal(code, 'NAME_UNKNOWN');
	assert.ok(message.length > 20);
	const grants = new Map([['org/app', { kind: 'failure', code, message: message.slice(0, 500) } as const]]);
	const read = parseToken(
		formatToken({ upstream: 'a.b.c', grants: new Map([['org/app', { kind: 'failure', code, message }]]), sealed: undefined }),
	);
	assert.deepEqual(read?.grants, grants);
}

describe('matchRelease', () => {
	check(
		'gives a release that the text names, and an exact name before any other',
		fc.property(candidates, typed, (rows, text) => {
			const match = matchRelease(rows, parseRelease(text));
			const isExact = (row: MatchedRelease): boolean =>
				row.commit === text || row.rawVersion === text || (row.isFinal && row.semver === text);
			const bare = text.replace(/^v(?=\d)/, '');
			const isWithoutV = (row: MatchedRelease): boolean => row.rawVersion === bare || (row.isFinal && row.semver === bare);
			switch (match.kind) {
				case 'one':
					assert.ok(rows.includes(match.release));
					assert.equal(isExact(match.release), rows.some(isExact));
					assert.equal(isExact(match.release) || isWithoutV(match.release), rows.some(isExact) || rows.some(isWithoutV));
					if (!isExact(match.release) && !isWithoutV(match.release) && !match.release.commit.startsWith(text)) {
						assert.ok(match.release.isFinal && `${match.release.semver}.`.startsWith(`${bare}.`));
						assert.equal(
							match.release,
							rows.find((row) => row.isFinal && `${row.semver}.`.startsWith(`${bare}.`)),
						);
					}
					break;
				case 'ambiguous':
					assert.ok(!rows.some(isExact) && !rows.some(isWithoutV) && text.length >= 7);
					assert.ok(match.releases.every((row) => row.commit.startsWith(text)));
					assert.ok(new Set(match.releases.map((row) => row.commit)).size > 1);
					break;
				case 'none':
					assert.ok(!rows.some(isExact) && !rows.some(isWithoutV));
			}
		}),
	);
	check(
		'of releases that have nothing to do with each other, the order does not matter',
		fc.property(fc.uniqueArray(candidate, { maxLength: 6, selector: ({ commit: hex }) => hex }), typed, fc.nat(5), (rows, text, by) => {
			fc.pre(new Set(rows.map((row) => row.semver)).size === rows.length && parseRelease(text).series === undefined);
			const rotated = [...rows.slice(by % (rows.length + 1)), ...rows.slice(0, by % (rows.length + 1))];
			const a = matchRelease(rows, parseRelease(text));
			const b = matchRelease(rotated, parseRelease(text));
			assert.equal(a.kind, b.kind);
			assert.equal(a.kind === 'one' && a.release, b.kind === 'one' && b.release);
		}),
	);
});

describe('sentences', () => {
	check(
		'tell of any failure, in a form that a token can hold',
		fc.property(
			candidates,
			fc.option(typed, { nil: undefined }),
			fc.option(component, { nil: undefined }),
			fc.boolean(),
			(rows, text, service, isAnonymous) => {
				const reference = { slug: 'org/app', release: text === undefined ? undefined : parseRelease(text), service };
				assertTells(noSuchFleet('org/app', isAnonymous));
				assertTells(explainNoRelease(reference, undefined, isAnonymous));
				assertTells(explainNoRelease(reference, { tracked: undefined, releases: rows }, isAnonymous));
				assertTells(ambiguousCommit(reference, rows));
				for (const row of rows) {
					const picked = pickImage(reference, row);
					if ('code' in picked) {
						assertTells(picked);
					} else {
						assert.ok(row.images.includes(picked));
						assert.ok(service === undefined ? row.images.length === 1 : picked.service.toLowerCase() === service);
					}
				}
			},
		),
	);
	check(
		'are the same for a fleet that is not there and one that is hidden',
		fc.property(fc.option(typed, { nil: undefined }), fc.boolean(), (text, isAnonymous) => {
			const reference = { slug: 'org/app', release: text === undefined ? undefined : parseRelease(text), service: undefined };
			assert.deepEqual(explainNoRelease(reference, undefined, isAnonymous), noSuchFleet('org/app', isAnonymous));
		}),
	);
	check(
		'suggest only what exists',
		fc.property(fc.oneof(typed, anyText), fc.array(fc.oneof(semver, version, anyText), { maxLength: 6 }), (wanted, versions) => {
			const closest = closestVersion(wanted, versions);
			assert.ok(closest === undefined || versions.includes(closest));
		}),
	);
});

describe('rows of the API', () => {
	const imageRow = fc.record({
		is_stored_at__image_location: fc.oneof(nearly(repository.map((text) => `registry/${text}`)), anyJson),
		content_hash: fc.oneof(nearly(digest), anyJson),
		is_a_build_of__service: fc.oneof(fc.constant([{ service_name: 'main' }]), anyJson),
	});
	const row = fc.record(
		{
			commit: fc.oneof(commit, anyJson),
			semver: fc.oneof(semver, anyJson),
			raw_version: fc.oneof(version, anyJson),
			is_final: fc.boolean(),
			status: fc.oneof(fc.constant('success'), anyJson),
			semver_major: fc.nat(),
			semver_minor: fc.nat(),
			release_image: fc.oneof(
				fc.array(imageRow, { maxLength: 2 }).map((image) => [{ image }]),
				anyJson,
			),
			owns__release: anyJson,
			should_be_running__release: anyJson,
		},
		{ requiredKeys: [] },
	);
	check(
		'are valid in every part that reaches a URL, or the answer is refused',
		fc.property(fc.oneof(fc.array(row, { maxLength: 3 }).map(asJson), anyJson), (rows) => {
			for (const parse of [parseReleases, parseFleet, parseVersions]) {
				try {
					const parsed = parse(rows);
					if (parse === parseReleases) {
						for (const release of parsed as MatchedRelease[]) {
							assert.equal(typeof versionOf(release), 'string');
							assert.ok(
								release.images.every(
									(picked) => isRepository(picked.repository) && (picked.digest === undefined || isDigest(picked.digest)),
								),
							);
						}
					}
				} catch (error) {
					assert.ok(error instanceof ZodError, String(error));
				}
			}
		}),
	);
});
