import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fleetPageQuery, parseFleetPage, parsePageReleases } from '../../src/balena/fleet-overview.ts';
import { RELEASE_FIELDS, matchRelease, parseListed, parseReleases, versionsOf } from '../../src/balena/release.ts';
import { addKey } from '../upstream/control.ts';
import { startUpstream } from '../upstream/index.ts';
import { CONTRACT, type ContractFleet } from './contract.ts';

const upstream = await startUpstream({ contract: true });
await addKey(upstream, {
	key: 'keyOfAlice0000000000000000000001',
	kind: 'user',
	subject: 'alice',
	fleets: ['acme/secret', 'acme/secret2'],
});

/** All fields of the rows that the contract has, as it was asked for them. */
const fieldsOf = (row: object): string =>
	Object.entries(row)
		.filter(([, value]) => !isExpanded(value))
		.map(([name]) => name)
		.join(',');
const isExpanded = (value: unknown): boolean => Array.isArray(value) && (value.length === 0 || typeof value[0] === 'object');
function queryOf(row: object): string {
	const expand = Object.entries(row)
		.filter(([, value]) => isExpanded(value))
		.map(
			([name, [first]]: [string, object[]]) =>
				`${name}(${queryOf(first ?? { id: 1 })}${name === 'owns__release' ? ';$orderby=id asc' : ''})`,
		)
		.join(',');
	return `$select=${fieldsOf(row)}${expand === '' ? '' : `;$expand=${expand}`}`;
}

/** Without what chance decides: keys of rows, and where an image lies. */
function plain(value: unknown): unknown {
	if (Array.isArray(value)) {
		return value.map(plain);
	}
	if (typeof value === 'object' && value !== null) {
		return Object.fromEntries(Object.entries(value).flatMap(([name, inner]) => (name === 'id' ? [] : [[name, plain(inner)]])));
	}
	return typeof value === 'string' ? value.replace(/^registry2[^/]*\/v2\/[0-9a-f]{32}$/, '<registry>/v2/<hash>') : value;
}

async function get(path: string, key?: string): Promise<{ status: number; body: any; type: string | null }> {
	const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
	const answer = await fetch(`${upstream.apiUrl}${path}`, { headers });
	const text = await answer.text();
	return { status: answer.status, body: text.startsWith('{') ? JSON.parse(text) : text, type: answer.headers.get('content-type') };
}

describe('the stand-in answers as the real API did, for the same releases', () => {
	for (const [who, key] of [
		['anonymous', undefined],
		['alice', 'keyOfAlice0000000000000000000001'],
	] as const) {
		for (const [slug, rows] of Object.entries(CONTRACT[who])) {
			test(`${slug}, to ${who}`, async () => {
				const query = rows[0] === undefined ? '$select=slug' : queryOf(rows[0]);
				const { status, body } = await get(`/v7/application?${topLevel(query)}&$filter=slug eq '${slug}'`, key);
				assert.equal(status, 200, JSON.stringify(body));
				assert.deepEqual(plain(body.d), plain(rows));
			});
		}
	}
	for (const { what, query, key, status, body } of CONTRACT.odd) {
		test(`${what}: ${query}`, async () => {
			const method = what === 'POST' ? 'POST' : 'GET';
			const headers =
				what === 'wrong key'
					? { authorization: `Basic ${Buffer.from('u:nonsense').toString('base64')}` }
					: key === undefined
						? {}
						: { authorization: `Bearer ${key.replaceAll(' ', '')}` };
			const answer = await fetch(`${upstream.apiUrl}${query}`, { method, headers });
			assert.equal(answer.status, status);
			const text = await answer.text();
			if (typeof body === 'object' && body !== null && 'token' in body) {
				const { access, aud, sub } = JSON.parse(Buffer.from(JSON.parse(text).token.split('.')[1], 'base64url').toString());
				assert.deepEqual([access, typeof aud, sub], [[], 'string', '']);
			} else if (status === 200) {
				// Without $orderby, the order is the database's affair.
				assert.deepEqual(inOrder(JSON.parse(text), query), inOrder(body, query));
			} else if (status !== 404) {
				assert.equal(text, body);
			}
		});
	}
});

function inOrder(body: any, query: string): unknown {
	return query.includes('$orderby') ? body : [...body.d].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** Within an expansion options are parted by ";", at the top by "&". */
function topLevel(query: string): string {
	let depth = 0;
	return [...query].map((sign) => ((depth += sign === '(' ? 1 : sign === ')' ? -1 : 0), depth === 0 && sign === ';' ? '&' : sign)).join('');
}

describe('the parsers read the real rows', () => {
	const fleets = Object.values({ ...CONTRACT.anonymous, ...CONTRACT.alice }).flat();
	/** As it is asked for a list: with the number of images. */
	const counted = (fleet: ContractFleet) => ({
		owns__release: fleet.owns__release.map((row) => ({ ...row, release_image: row.release_image.length })),
	});
	const releasesOf = (fleet: ContractFleet) => parseReleases(fleet.owns__release.map((row) => ({ ...row, status: 'success' })));
	test('all of them', () => {
		for (const fleet of fleets) {
			assert.equal(parseReleases(fleet.owns__release).length, fleet.owns__release.length);
			assert.equal(parsePageReleases(fleet.owns__release).length, fleet.owns__release.length);
			assert.equal(parseFleetPage([fleet])?.slug, fleet.slug);
			assert.ok(parseListed([fleet].map(counted)));
		}
	});
	test('every field that is asked for is there', () => {
		const { $expand } = fleetPageQuery('a/b') as { $expand: { owns__release: { $select: string[] } } };
		for (const field of [...RELEASE_FIELDS, ...$expand.owns__release.$select]) {
			assert.ok(field in CONTRACT.anonymous['acme/browser']![0]!.owns__release[0]!, field);
		}
	});
	const rows: [slug: string, text: string, rawVersion: string | undefined][] = [
		['acme/prerel', '3.0', '3.0.0'],
		['acme/prerel', '3.1.0', '3.1.0+build5'],
		['acme/prerel', '5.0.0', '5.0.0+rev1'],
		['acme/prerel', '5.0', '5.0.0+rev1'],
		['acme/prerel', '5.2', '5.2.0-rc.10'],
		['acme/prerel', '5.1.0', '5.1.0+dev'],
		['acme/prerel', '4.0.0-beta.2', '4.0.0-beta.2'],
		['acme/browser', '2.3.8', '2.3.8+rev2'],
		['acme/browser', '2.3.8-rev1', '2.3.8+rev1'],
		['acme/browser', '2.4.1', undefined],
		['acme/noversion', '0.0.0', '0.0.0+rev1'],
		['acme/ambig', '1234567', '1.2.0'],
	];
	for (const [slug, text, rawVersion] of rows) {
		test(`${slug}/${text} is ${rawVersion}`, () => {
			const match = matchRelease(releasesOf(CONTRACT.anonymous[slug]![0]!), text);
			assert.equal(match.kind === 'one' ? match.release.rawVersion : undefined, rawVersion);
		});
	}
	test('a tag list has what can be typed', () => {
		assert.deepEqual(versionsOf(parseListed(CONTRACT.anonymous['acme/prerel']!.map(counted))!).includes('3.1.0'), true);
		assert.ok(!versionsOf(parseListed(CONTRACT.anonymous['acme/prerel']!.map(counted))!).some((version) => version.includes('+')));
	});
});
