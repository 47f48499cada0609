import { readFileSync } from 'node:fs';
import type { SampleFleet, SampleRelease } from '../upstream/fleets.ts';
import { versionFields } from '../upstream/version.ts';

/*
 * What open-balena-api 49.0.12 answered for fleets that were made through its own REST endpoints, and to odd queries: openbalena-49.json. The stand-in has to answer
 * the same for the same releases.
 */

type Fields = Record<string, unknown>;

export interface ContractImage extends Fields {
	is_a_build_of__service: { service_name: string }[];
}

export interface ContractRelease extends Fields {
	commit: string;
	status: SampleRelease['status'];
	raw_version: string;
	is_final: boolean;
	is_invalidated: boolean;
	created_at: string;
	release_image: { image: ContractImage[] }[];
}

export interface ContractFleet extends Fields {
	slug: string;
	is_public: boolean;
	is_of__class: string;
	is_for__device_type: { slug: SampleFleet['deviceType'] }[];
	should_be_running__release: { raw_version: string }[];
	owns__release: ContractRelease[];
}

export interface Contract {
	/** What each release was made with, in order. */
	made: Record<string, { semverGiven: string; variantGiven?: string; services: string[] }[]>;
	/** Rows of `application`, by slug, as anybody and as the owner of the private ones gets them. */
	anonymous: Record<string, ContractFleet[]>;
	alice: Record<string, ContractFleet[]>;
	odd: { what: string; query: string; key?: string; status: number; body: unknown; type?: string | null }[];
}

export const CONTRACT = JSON.parse(readFileSync(new URL('openbalena-49.json', import.meta.url), 'utf8')) as Contract;

/** @returns the fleets of the contract, for the stand-in: what was given, and what only chance or a clock decided, but nothing that the API worked out from it */
export function contractFleets(): SampleFleet[] {
	return Object.entries(CONTRACT.made).map(([slug, made]) => {
		const row = (CONTRACT.anonymous[slug]?.[0] ?? CONTRACT.alice[slug]?.[0])!;
		const before: string[] = [];
		const releases = made.map(({ semverGiven: version, variantGiven: variant, services }, i): SampleRelease => {
			const answered = row.owns__release[i]!;
			const { is_final: isFinal, is_invalidated: isInvalidated, status, commit, created_at, end_timestamp } = answered;
			const stamp = isFinal ? undefined : Date.parse(created_at);
			// Of final releases of one version, whatever their build metadata, each is a revision more.
			const plain = version.replace(/\+.*/, '');
			const revision = isFinal ? before.filter((other) => other === plain).length : null;
			if (isFinal) {
				before.push(plain);
			}
			const given = { version, ...(variant === undefined ? {} : { variant }), ...(stamp === undefined ? {} : { stamp }) };
			return {
				...given,
				rawVersion: versionFields({ ...given, revision: revision ?? 0 }).raw_version,
				revision,
				commit,
				isFinal,
				isInvalidated,
				status,
				services,
				packaging: 'docker',
				row: { created_at, end_timestamp, is_finalized_at__date: answered['is_finalized_at__date'] },
				imageRows: answered.release_image.map(({ image: [image] }) => {
					const { content_hash, image_size, project_type, status: imageStatus } = image!;
					return { content_hash, image_size, project_type, status: imageStatus };
				}),
			};
		});
		return {
			slug,
			isPublic: row.is_public,
			deviceType: row.is_for__device_type[0]!.slug,
			target: row.should_be_running__release[0]?.raw_version,
			isPinned: false,
			class: row.is_of__class,
			releases,
		};
	});
}
