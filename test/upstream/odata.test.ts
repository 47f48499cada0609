import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { getSdk } from 'balena-sdk';
import { imageOf, type Upstream } from './index.ts';
import { sharedUpstream } from './shared.ts';

/* What is known of the real API's OData, asked of the stand-in. */

let upstream: Upstream;
before(async () => void (upstream = await sharedUpstream()));

const BROWSER = 'balenalabs/browser-aarch64';

describe('OData, through balena-sdk', () => {
	/** One query as the proxy makes it. */
	async function query(resource: string, options: object, key?: string): Promise<any[]> {
		const sdk = getSdk({ apiUrl: upstream.apiUrl, dataDirectory: false, apiVersion: 'v7' } as object);
		const headers = key === undefined ? {} : { Authorization: `Bearer ${key}` };
		return (await sdk.pine.get({ resource, options, passthrough: { headers, anonymous: true } } as never)) as unknown as any[];
	}
	const of = (slug: string): object => ({ belongs_to__application: { $any: { $alias: 'a', $expr: { a: { slug } } } } });

	test('a version’s revisions, highest first, with their images', async () => {
		const image = {
			$select: ['is_stored_at__image_location', 'content_hash'],
			$expand: { is_a_build_of__service: { $select: 'service_name' } },
		};
		const [row] = await query('release', {
			$top: 1,
			$select: ['raw_version', 'is_final'],
			$expand: { release_image: { $select: 'id', $expand: { image } } },
			$filter: {
				...of(BROWSER),
				status: 'success',
				$or: [{ commit: '2.3.8' }, { semver: '2.3.8', is_final: true }, { raw_version: '2.3.8' }],
			},
			$orderby: [{ revision: 'desc' }, { id: 'asc' }],
		});
		const { repository, digest } = imageOf(upstream, BROWSER, '2.3.8+rev2');
		assert.equal(row.raw_version, '2.3.8+rev2');
		assert.deepEqual(row.release_image[0].image, [
			{
				is_a_build_of__service: [{ service_name: 'main' }],
				is_stored_at__image_location: `${upstream.service}/${repository}`,
				content_hash: digest,
			},
		]);
	});
	test('the tracked release', async () => {
		const rows = await query('release', {
			$select: 'raw_version',
			$filter: { should_be_running_on__application: { $any: { $alias: 'a', $expr: { a: { slug: 'acme/pinned' } } } } },
		});
		assert.deepEqual(rows, [{ raw_version: '1.1.0' }]);
	});
	test('a draft’s revision is null, and sorts first', async () => {
		const rows = await query('release', {
			$top: 2,
			$select: ['raw_version', 'revision'],
			$filter: of(BROWSER),
			$orderby: [{ revision: 'desc' }],
		});
		assert.deepEqual(rows, [
			{ raw_version: '2.4.1-1648554962021', revision: null },
			{ raw_version: '2.3.8+rev2', revision: 2 },
		]);
	});
	test('numbers of versions are numbers', async () => {
		const rows = await query('release', {
			$select: 'raw_version',
			$filter: { ...of(BROWSER), semver_major: 1 },
			$orderby: [{ semver_minor: 'desc' }],
		});
		assert.deepEqual(rows, [{ raw_version: '1.10.0' }, { raw_version: '1.9.3' }]);
	});
	test('the beginning of a commit', async () => {
		const rows = await query('release', {
			$select: 'raw_version',
			$filter: { commit: { $startswith: 'c0ffee1' } },
			$orderby: [{ id: 'asc' }],
		});
		assert.deepEqual(rows, [{ raw_version: '2.1.0' }, { raw_version: '2.1.1' }]);
	});
	test('a fleet with its releases, services and architecture', async () => {
		const [row] = await query('application', {
			$select: 'should_track_latest_release',
			$filter: { slug: 'acme/several' },
			$expand: {
				owns__release: { $select: 'raw_version', $orderby: [{ id: 'asc' }] },
				should_be_running__release: { $select: 'raw_version' },
				service: { $select: 'service_name', $orderby: [{ service_name: 'asc' }] },
				is_for__device_type: { $select: 'slug', $expand: { is_of__cpu_architecture: { $select: 'slug' } } },
			},
		});
		assert.deepEqual(row, {
			should_track_latest_release: true,
			owns__release: [{ raw_version: '1.0.0' }, { raw_version: '1.1.0' }],
			should_be_running__release: [{ raw_version: '1.1.0' }],
			service: [{ service_name: 'db' }, { service_name: 'main' }, { service_name: 'proxy' }],
			is_for__device_type: [{ slug: 'generic-amd64', is_of__cpu_architecture: [{ slug: 'amd64' }] }],
		});
	});

	const PRIVATE = ['acme/display-rpi', 'acme/secret', 'acme/secret-several', 'acme/veiled-aarch64', 'acme/veiled-amd64'];
	const visible: [key: () => string | undefined, who: string, fleets: string[]][] = [
		[() => undefined, 'anybody', []],
		[() => 'nonsense', 'a bad key', []],
		[() => upstream.keys.stranger, 'a stranger', []],
		[() => upstream.keys.device, 'a device', ['acme/secret']],
		[() => upstream.keys.owner, 'the owner', PRIVATE],
		[() => upstream.keys.session, 'the owner’s session', PRIVATE],
	];
	for (const [key, who, fleets] of visible) {
		test(`${who} sees ${fleets.join(' and ') || 'no private fleet'}`, async () => {
			const rows = await query('application', { $select: 'slug', $filter: { is_public: false }, $orderby: [{ slug: 'asc' }] }, key());
			assert.deepEqual(
				rows,
				fleets.map((slug) => ({ slug })),
			);
			const releases = await query(
				'release',
				{ $select: 'id', $expand: { release_image: { $expand: { image: {} } } }, $filter: of('acme/secret') },
				key(),
			);
			assert.equal(releases.length, fleets.length === 0 ? 0 : 3);
		});
	}

	const statuses: Record<string, number> = {
		'/v7/organization': 401,
		'/v7/device': 401,
		'/v7/release?$select=nonsense': 500,
		'/v7/release_image?$top=1': 200,
		'/v7/release/$count': 200,
		'/v5/release': 404,
	};
	for (const [path, status] of Object.entries(statuses)) {
		test(`${path} is ${status}`, async () => assert.equal((await fetch(`${upstream.apiUrl}${path}`)).status, status));
	}
});
