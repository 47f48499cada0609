import type { Fault } from '../upstream/relay.ts';

/** @returns rows of OData, as the API answers a query with them */
export function odata(rows: unknown): Exclude<Fault, undefined> {
	return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ d: rows }) };
}

/** @param nameOf a service, by its number @returns what the API says of a release with so many services */
export function releaseOfServices(services: number, nameOf = (i: number): string => `service-${i}`): object {
	return {
		id: 1,
		commit: 'c0ffee'.padEnd(32, '0'),
		semver_major: 1,
		semver_minor: 0,
		semver_patch: 0,
		semver_prerelease: '',
		raw_version: '1.0.0',
		revision: 0,
		is_final: true,
		status: 'success',
		release_image: Array.from({ length: services }, (_, i) => ({
			image: [
				{
					is_stored_at__image_location: `registry2.balena.example/v2/${i.toString(16).padStart(32, '0')}`,
					content_hash: null,
					is_a_build_of__service: [{ service_name: nameOf(i) }],
				},
			],
		})),
	};
}
