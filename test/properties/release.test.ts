import fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { ZodError } from 'zod';
import { ambiguousCommit, chooseService, closestVersion, explainNoRelease, noSuchFleet, type Failure } from '../../src/balena/explain.ts';
import { formsOf, RELEASE_FORMS } from '../../src/balena/release-forms.ts';
import {
	highestFirst,
	matchRelease,
	parseReleases,
	parseRows,
	parseListed,
	pickImage,
	versionOf,
	type MatchedRelease,
} from '../../src/balena/release.ts';
import { isDigest } from '../../src/registry/digest.ts';
import { isRepository } from '../../src/registry/name.ts';
import { formatVersion } from '../../src/balena/version.ts';
import { formatToken, parseToken } from '../../src/token/client-token.ts';
import { anyJson, anyText, asJson, component, digest, nearly, repository, version } from './arbitraries.ts';
import { meets } from '../support/filter.ts';
import { apiRow, candidate, candidates, commit, core, prerelease } from './fleets.ts';
import { check } from './check.ts';

/** Texts in every form of the table: of releases that there are, or may not be. */
const typed = fc.oneof(
	candidate.chain((row) => fc.constantFrom(...RELEASE_FORMS.flatMap(({ write }) => write(row)))),
	component,
);
/** The same, and releases among which the named ones often are. */
const typedAmong = fc.oneof(
	fc.tuple(candidates, typed),
	fc
		.array(candidate, { minLength: 1, maxLength: 8 })
		.chain((rows) =>
			fc.tuple(fc.constant(rows), fc.constantFrom(...rows.flatMap((row) => RELEASE_FORMS.flatMap(({ write }) => write(row))))),
		),
);

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

describe('the table of forms', () => {
	check(
		'writes only what it reads as the same release',
		fc.property(candidate, (row) => {
			for (const { name, of, write } of RELEASE_FORMS) {
				for (const text of write(row)) {
					// The beginning of a commit is shorter than a commit can be here.
					assert.ok(of(text)?.matches(row) ?? text.length < 7, `${name}: ${text}`);
				}
			}
		}),
	);
	check(
		'asks the API for what it takes from the answer',
		fc.property(candidate, typed, (row, text) => {
			for (const { filter, names, matches, isFinalOnly } of formsOf(text)) {
				assert.equal(names(row), meets(filter, apiRow(row)));
				assert.equal(matches(row), names(row) && (!isFinalOnly || row.isFinal));
			}
		}),
	);
});

describe('matchRelease', () => {
	check(
		'gives the highest release of the first form that any has',
		fc.property(typedAmong, ([rows, text]) => {
			const match = matchRelease(rows, text);
			const first = formsOf(text).find(({ matches }) => rows.some(matches));
			const named = rows.filter((row) => first?.matches(row));
			switch (match.kind) {
				case 'one':
					assert.ok(named.includes(match.release));
					assert.ok(named.every((row) => highestFirst(match.release, row) <= 0));
					break;
				case 'ambiguous':
					assert.equal(first?.ofSeveral, 'ambiguous');
					assert.deepEqual(new Set(match.releases), new Set(named));
					assert.ok(new Set(match.releases.map((row) => row.commit)).size > 1);
					break;
				case 'none':
					assert.equal(first, undefined);
			}
		}),
	);
	check(
		'gives what a name is exactly, before all that it may abbreviate',
		fc.property(typedAmong, ([rows, text]) => {
			const match = matchRelease(rows, text);
			const isExact = (row: MatchedRelease): boolean =>
				(row.commit === text && text.length >= 7) || row.rawVersion === text || (row.isFinal && formatVersion(row.version!) === text);
			assert.equal(match.kind === 'one' && isExact(match.release), rows.some(isExact));
		}),
	);
	check(
		'does not depend on the order of the rows',
		fc.property(typedAmong, fc.nat(7), ([rows, text], by) => {
			const rotated = [...rows.slice(by % (rows.length + 1)), ...rows.slice(0, by % (rows.length + 1))];
			const [a, b] = [matchRelease(rows, text), matchRelease(rotated, text)];
			assert.equal(a.kind, b.kind);
			assert.equal(a.kind === 'one' && b.kind === 'one' ? highestFirst(a.release, b.release) : 0, 0);
		}),
	);
});

/** What is found of a fleet that is not there. */
const ABSENT = { around: { fleet: undefined, block: [], plain: undefined, withoutOwner: undefined }, namesakes: [], releases: [] };

describe('sentences', () => {
	check(
		'tell of any failure, in a form that a token can hold',
		fc.property(
			candidates,
			fc.option(typed, { nil: undefined }),
			fc.option(component, { nil: undefined }),
			fc.boolean(),
			(rows, text, service, isAnonymous) => {
				const reference = { slug: 'org/app', release: text, service };
				assertTells(noSuchFleet('org/app', isAnonymous));
				assertTells(explainNoRelease(reference, ABSENT, isAnonymous));
				const around = { ...ABSENT.around, fleet: { latest: rows[0], services: ['main'] } };
				assertTells(explainNoRelease(reference, { ...ABSENT, around, releases: rows }, isAnonymous));
				assertTells(ambiguousCommit(reference, rows));
				for (const row of rows) {
					const picked = pickImage(reference, row);
					if (picked === undefined) {
						assertTells(chooseService(reference, row));
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
			const reference = { slug: 'org/app', release: text, service: undefined };
			assert.deepEqual(explainNoRelease(reference, ABSENT, isAnonymous), noSuchFleet('org/app', isAnonymous));
		}),
	);
	check(
		'suggest only what exists',
		fc.property(fc.oneof(typed, anyText), fc.array(fc.oneof(core, version, anyText), { maxLength: 6 }), (wanted, versions) => {
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
			raw_version: fc.oneof(version, anyJson),
			is_final: fc.boolean(),
			status: fc.oneof(fc.constant('success'), anyJson),
			semver_major: fc.nat(),
			semver_minor: fc.nat(),
			semver_patch: fc.oneof(fc.nat(), anyJson),
			semver_prerelease: fc.oneof(prerelease, anyJson),
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
			for (const parse of [parseReleases, parseRows, parseListed]) {
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
