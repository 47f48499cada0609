import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ANONYMOUS, callerWithSecret } from '../../src/balena/caller.ts';
import { parseReference } from '../../src/balena/reference.ts';
import { LONG } from '../support/expect.ts';
import { startProxy } from '../support/proxy.ts';
import { addKey } from '../upstream/control.ts';
import { startUpstream } from '../upstream/index.ts';
import { CONTRACT, type ContractFleet } from './contract.ts';

const upstream = await startUpstream({ contract: true });
const KEY_OF_ALICE = 'keyOfAlice0000000000000000000001';
await addKey(upstream, {
	key: KEY_OF_ALICE,
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
		['alice', KEY_OF_ALICE],
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
	for (const { what, query, key, status, body, type } of CONTRACT.odd) {
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
			if (type !== undefined) {
				assert.equal(answer.headers.get('content-type'), type);
			}
			if (isToken(body)) {
				const claims = claimsOf(JSON.parse(text).token);
				assert.deepEqual(Object.keys(JSON.parse(text)), ['token']);
				assert.deepEqual(Object.keys(claims).sort(), Object.keys(body.claims).sort());
				assert.deepEqual(stable(claims), stable(body.claims));
			} else if (status === 200) {
				// Without $orderby, the order is the database's affair.
				assert.deepEqual(inOrder(JSON.parse(text), query), inOrder(body, query));
			} else {
				assert.equal(text, body);
			}
		});
	}
});

interface Claims {
	[name: string]: unknown;
	nbf: number;
	iat: number;
	exp: number;
}

const isToken = (body: unknown): body is { claims: Claims } => typeof body === 'object' && body !== null && 'claims' in body;
const claimsOf = (token: string): Claims => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Claims;
/** What neither chance, nor a clock, nor the installation decides. */
const stable = ({ access, sub, nbf, iat, exp }: Claims): unknown => [access, sub, iat - nbf, exp - iat];

function inOrder(body: any, query: string): unknown {
	return query.includes('$orderby') ? body : [...body.d].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** Within an expansion options are parted by ";", at the top by "&". */
function topLevel(query: string): string {
	let depth = 0;
	return [...query].map((sign) => ((depth += sign === '(' ? 1 : sign === ')' ? -1 : 0), depth === 0 && sign === ';' ? '&' : sign)).join('');
}

describe('the service in front of it', () => {
	const releasesOf = (slug: string): ContractFleet['owns__release'] =>
		(CONTRACT.anonymous[slug]?.[0] ?? CONTRACT.alice[slug]![0]!).owns__release;
	const commitOf = (slug: string, rawVersion: string): string =>
		releasesOf(slug).find(({ raw_version }) => raw_version === rawVersion)!.commit;
	const DRAFT = '2.4.1-1795641835710';
	const BETA_DRAFT = '4.0.0-beta.2.1795641837460';
	/** A version, or what is said instead of one. */
	const rows: [reference: string, expected: string | RegExp, who?: 'alice'][] = [
		// Where the order and the names of versions were not semver's.
		['acme/prerel/3.0', '3.0.0'],
		['acme/prerel/3.1.0', '3.1.0+build5'],
		['acme/prerel/5.0.0', '5.0.0+rev1'],
		['acme/prerel/5.0', '5.0.0+rev1'],
		['acme/prerel', '4.0.0-beta.2'],
		['acme/prerel/3', '3.1.0+build5'],
		['acme/prerel/3.0.0-rc.1', '3.0.0-rc.1'],
		['acme/prerel/3.1', '3.1.0+build5'],
		['acme/prerel/4', '4.0.0-beta.2'],
		[`acme/prerel/${BETA_DRAFT}`, BETA_DRAFT],
		['acme/prerel/5', '5.2.0-rc.10'],
		['acme/prerel/5.1.0', '5.1.0+dev'],
		[`acme/prerel/${commitOf('acme/prerel', '5.0.0')}`, '5.0.0'],
		['acme/prerel/3.1.1', /^acme\/prerel has no release 3\.1\.1; its latest is 5\.2\.0-rc\.10, and 3\.1\.0 exists$/],
		...['', '/latest', '/current', '/default', '/pinned'].map((word): [string, string] => [`acme/browser${word}`, '2.4.0']),
		['acme/browser/2.3.8', '2.3.8+rev2'],
		['acme/browser/v2.3.8', '2.3.8+rev2'],
		['acme/browser/2.3.8-rev1', '2.3.8+rev1'],
		[`acme/browser/${commitOf('acme/browser', '2.3.8')}`, '2.3.8'],
		[`acme/browser/${commitOf('acme/browser', '2.3.8').slice(0, 7)}`, '2.3.8'],
		['acme/browser/2.3', '2.3.10'],
		['acme/browser/2', '2.4.0'],
		['acme/browser/2.2.0', '2.2.0'],
		[`acme/browser/${DRAFT}`, DRAFT],
		['acme/browser/2.4.1', new RegExp(`is a draft; pull it by its whole version, as in acme/browser/${DRAFT}$`)],
		['acme/browser/2.5.0', /did not build \(its status is "failed"\); its latest is 2\.4\.0$/],
		['acme/browser/2.6.0', /is still building; its latest is 2\.4\.0$/],
		['acme/browser/9.9.9', /has no release 9\.9\.9; its latest is 2\.4\.0$/],
		['acme/multi', /has several services: Side_Car, main; pull one of them, as in acme\/multi\/latest\/side_car$/],
		['acme/multi/latest/side_car', '1.2.0'],
		['acme/multi/1.1.0', '1.1.0'],
		['acme/pinned-fleet', '1.0.0'],
		['acme/pinned-fleet/2', '2.0.0'],
		['acme/empty', /^acme\/empty has no release to pull yet$/],
		['acme/noversion', '0.0.0+rev1'],
		['acme/noversion/0.0.0', '0.0.0+rev1'],
		['acme/ambig/abcdef1', /^acme\/ambig has several releases whose commit begins with abcdef1: /],
		['acme/ambig/abcdef1a', '1.0.0'],
		['acme/ambig/1234567', '1.2.0'],
		['acme/failonly/1.0.0', /did not build .*; it has no finished release yet$/],
		['acme/draftonly', /^acme\/draftonly has no release to pull yet$/],
		['acme/draftonly/1.0.0', /is a draft; /],
		['acme/blocky', '0.1.0'],
		['acme/secret', /^there is no public fleet acme\/secret; /],
		['acme/secret', '1.1.0', 'alice'],
		['acme/secret/1.0', '1.0.0', 'alice'],
		['acme/secret2/1.0.0', '1.0.0', 'alice'],
	];
	test('every fleet of the contract is asked for', () => {
		const asked = new Set(rows.map(([reference]) => reference.split('/').slice(0, 2).join('/')));
		assert.deepEqual([...asked].sort(), Object.keys(CONTRACT.made).sort());
	});
	for (const [reference, expected, who] of rows) {
		test(`${reference}${who === undefined ? '' : `, for ${who}`}`, async (t) => {
			const { app } = await startProxy(t, upstream, LONG);
			const parsed = parseReference(reference);
			assert.ok(parsed.kind === 'fleet');
			const resolution = await app.resolver.resolve(parsed, who === undefined ? ANONYMOUS : callerWithSecret(KEY_OF_ALICE)!);
			assert.ok(resolution.kind !== 'block');
			const said = resolution.kind === 'image' ? resolution.version : resolution.message;
			if (typeof expected === 'string') {
				assert.equal(said, expected);
			} else {
				assert.match(said, expected);
			}
		});
	}
	test('tags/list', async (t) => {
		const { app } = await startProxy(t, upstream, LONG);
		assert.deepEqual((await app.resolver.versions('acme/prerel', ANONYMOUS))!.sort(), [
			'3.0.0',
			'3.0.0-rc.1',
			'3.1.0',
			'4.0.0-beta.2',
			'5.0.0',
			'5.1.0',
			'5.2.0-rc.10',
			'5.2.0-rc.9',
		]);
	});
});
