import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { LONG } from '../../support/expect.ts';
import { ask, assertError, seen, tokenFor } from '../../support/setup.ts';
import { startProxy } from '../../support/proxy.ts';
import { startUpstream } from '../../upstream/index.ts';
import { slugOfMany } from '../../upstream/many-releases.ts';
import { startRelay } from '../../upstream/relay.ts';

/* What a name costs the API where a fleet has thousands of releases, and whether anything of them is cut off. */

const [FEW, MORE, THOUSANDS, TOO_MANY] = [150, 2500, 12_000, 20_010];
const upstream = await startUpstream({ many: [FEW, MORE, THOUSANDS, TOO_MANY] });
const api = await startRelay(upstream.apiUrl);
after(() => Promise.all([api.close(), upstream.close()]));

const FLEET = slugOfMany(THOUSANDS);
/** Largest answer to one question, in bytes: ten releases with their images. */
const MAX_ANSWER_BYTES = 8 * 1024;
const MAX_INTEGER = 2 ** 31 - 1;
const LATEST = 'its latest is 500.0.0';
const LOWEST = `${LATEST}, and 0.0.4 exists`;

const [release, application] = ['GET /v7/release', 'GET /v7/application'];
/** What a failure asks besides: the fleet, then what is near the name, below and above. */
const [BOTH_SIDES, ONE_SIDE] = [
	[release, application, release, release],
	[release, application, release],
];

const decoded = (url: string): string => decodeURIComponent(url.replaceAll('+', ' '));
/** What tells a release's version by a function of the database, or by a text: only of those rows of which the numbers, which an index has, are the version's. */
const BY_NUMBER =
	/semver_major eq \d+ and semver_minor eq \d+ and semver_patch eq \d+ and (?:raw_version|semver_prerelease) (?:eq '[^']*'|in \([^)]*\))/g;

describe('in a fleet of 12,000 releases', async () => {
	const rows: [what: string, text: string, asked: string[], filter?: string, failure?: string][] = [
		['a version', '2.4.0', [release]],
		['a version with v', 'v2.4.1', [release]],
		['major and minor', '2.4', [release], 'is_final eq true and semver_major eq 2 and semver_minor eq 4'],
		['a major', '2', [release], 'is_final eq true and semver_major eq 2'],
		['a draft by its whole version', '0.0.5-1700000000000', [release]],
		['the tracked release', 'latest', [release], "should_be_running_on__application/any(a:a/slug eq 'acme/many-12000')"],
		['a commit', 'b7d1c4b3a2f091827364554637281900', ONE_SIDE, undefined, LATEST],
		['the beginning of a commit', 'abcdef0', ONE_SIDE, "(commit eq 'abcdef0' or startswith(commit,'abcdef0'))", LATEST],
		['a revision that is not there', '2.4.0-rev1', BOTH_SIDES, undefined, `${LATEST}, and 2.4.0 exists`],
		['an unknown version', '2.60.0', BOTH_SIDES, undefined, `${LATEST}, and 2.49.19 exists`],
		['an unknown minor', '2.60', BOTH_SIDES, undefined, `${LATEST}, and 2.49.19 exists`],
		['a failed release', '0.0.7', BOTH_SIDES, undefined, `did not build (its status is "failed"); ${LOWEST}`],
		['a draft by its version', '0.0.5', BOTH_SIDES, undefined, 'is a draft; pull it by its whole version'],
		['the largest number', '2147483647.0.0', ONE_SIDE, undefined, LATEST],
		// What can be no release's name is not asked for.
		['a number beyond 32 bits', '2147483648.0.0', [application], undefined, LATEST],
		['such a minor', '1.2147483648', [application], undefined, LATEST],
		['a major that can only be a commit', '2147483648', ONE_SIDE, "(commit eq '2147483648' or startswith(commit,'2147483648'))", LATEST],
		['a range', '2.x', [application], undefined, LATEST],
		['a word', 'nightly', [application], undefined, LATEST],
	];
	for (const [what, text, asked, filter, failure] of rows) {
		test(`${what}: ${text}`, async (t) => {
			const proxy = await startProxy(t, { ...upstream, apiUrl: api.url }, LONG);
			const name = `${FLEET}/${text}`;
			api.requests = [];
			const token = await tokenFor(proxy, name);
			const queries = seen(api, ({ url }) => url.startsWith('/v7/')).map(decoded);
			assert.deepEqual(
				queries.map((query) => query.split('?')[0]),
				asked,
			);
			if (filter !== undefined) {
				assert.ok(queries[0]!.includes(`${filter}&`), queries[0]!);
			}
			for (const query of queries) {
				const rest = query
					.replace(BY_NUMBER, '')
					.split('$filter=')
					.slice(1)
					.join(' ')
					.replace(/\$(?:orderby|select)=[^&;)]*/g, '');
				assert.doesNotMatch(rest, /raw_version|semver_prerelease|semver (?:eq|in)/, query);
				const integers = [...query.matchAll(/ (?:eq|lt|le|gt) (\d+)/g)].map(([, digits]) => Number(digits));
				assert.ok(
					integers.every((integer) => integer <= MAX_INTEGER),
					query,
				);
			}
			for (const { url } of api.requests) {
				const answer = await ask({ url: upstream.apiUrl }, url);
				assert.equal(answer.status, 200);
				assert.ok(answer.text.length < MAX_ANSWER_BYTES, `${answer.text.length} bytes`);
			}
			if (failure !== undefined) {
				const message = assertError(await ask(proxy, `/v2/${name}/manifests/latest`, { token }), 404, 'NAME_UNKNOWN');
				assert.ok(message.includes(failure), message);
			}
		});
	}
});

describe('sentences are the same, however many neighbours a release has', () => {
	for (const size of [FEW, MORE, THOUSANDS]) {
		const slug = slugOfMany(size);
		const rows: [text: string, sentence: string][] = [
			['0.0.7', `release 0.0.7 of ${slug} did not build (its status is "failed"); ${LOWEST}`],
			['0.0.5', `release 0.0.5 of ${slug} is a draft; pull it by its whole version, as in ${slug}/0.0.5-1700000000000`],
			['0.0.9', `${slug} has no release 0.0.9; ${LOWEST}`],
			['1.3.99', `${slug} has no release 1.3.99; ${LATEST}, and 1.3.19 exists`],
			['499.0.0', `${slug} has no release 499.0.0; ${LATEST}`],
		];
		for (const [text, sentence] of rows) {
			test(`${slug}/${text}`, async (t) => {
				const proxy = await startProxy(t, upstream, LONG);
				const name = `${slug}/${text}`;
				const answer = await ask(proxy, `/v2/${name}/manifests/latest`, { token: await tokenFor(proxy, name) });
				assert.equal(assertError(answer, 404, 'NAME_UNKNOWN'), sentence);
			});
		}
	}
});

describe('tags/list has all versions of a fleet, or says that it has not', () => {
	const list = async (t: Parameters<typeof startProxy>[0], size: number): ReturnType<typeof ask> => {
		const proxy = await startProxy(t, upstream, LONG);
		return ask(proxy, `/v2/${slugOfMany(size)}/tags/list`, { token: await tokenFor(proxy, slugOfMany(size)) });
	};
	for (const size of [FEW, MORE, THOUSANDS]) {
		test(`${size} releases`, async (t) => {
			const answer = await list(t, size);
			assert.equal(answer.status, 200, answer.text);
			const { tags } = JSON.parse(answer.text) as { tags: string[] };
			// All but the draft and the failed one.
			assert.equal(new Set(tags).size, size - 2);
			assert.ok(['0.0.4', '1.0.0', '500.0.0'].every((version) => tags.includes(version)));
		});
	}
	test('more than 20,000 releases', async (t) => {
		const answer = await list(t, TOO_MANY);
		assert.match(assertError(answer, 405, 'UNSUPPORTED'), /has more than 20000 releases, which are too many to list/);
	});
});
