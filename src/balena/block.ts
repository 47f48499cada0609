import { z } from 'zod';
import { ARCHITECTURES, architectureOf, splitArchitecture } from './architectures.ts';
import { isName } from '../registry/name.ts';
import { chooseService, type Failure } from './explain.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { ReleaseReference } from './reference.ts';
import { highestFirst, matchedRow, pickImage, versionOf, type MatchedRelease } from './release.ts';

/*
 * A block: one name for the fleets `<org>/<block>-<architecture>`, where it is no fleet itself. docs/architectures.md has the rules.
 */

/** One of a block's fleets, and what a text means in it. */
export interface Member {
	slug: string;
	/** One of `ARCHITECTURES`, by its name. */
	architecture: string;
	release: MatchedRelease;
}

/** One image of a block. */
export interface BlockImage {
	/** One of `ARCHITECTURES`, by its name. */
	architecture: string;
	repository: string;
	/** For logs and sentences; empty where nobody knows. */
	version: string;
	/** Of its manifest; undefined where the API does not know it. */
	digest: string | undefined;
}

/**
 * @returns the slugs of a block's fleets that a caller sees, where a reference means the block: not where it has an architecture
 * in it already, which the sentence knows better
 */
export function fleetsOfBlock({ slug, release }: Pick<ReleaseReference, 'slug' | 'release'>, { fleet, block }: Neighbourhood): string[] {
	const isForOne = splitArchitecture(slug).architecture !== undefined || (release !== undefined && architectureOf(release) !== undefined);
	return fleet !== undefined || isForOne ? [] : block.map((one) => one.slug);
}

/** @returns the fleet of a block for an architecture */
export function memberSlug(block: string, architecture: string): string {
	return `${block}-${architecture}`;
}

/** @returns names of a block's images that mean the same bytes for ever, as far as they can be written */
export function pins(name: string, images: readonly BlockImage[]): string[] {
	const [org, block, , service] = name.split('/');
	return images.map(({ architecture, version, digest }) => {
		// A name has no "+", and a release can be named without it.
		const release = version.replace('+', '-');
		const path = isName(release) ? [release, ...(service === undefined ? [] : [service])] : [];
		return [memberSlug(`${org}/${block}`, architecture), ...path].join('/') + (digest === undefined ? '' : `@${digest}`);
	});
}

const text = z.string().max(1000);
const fleetRow = z.object({
	slug: text,
	owns__release: z.array(matchedRow).nullish(),
	should_be_running__release: z.array(matchedRow).nullish(),
});

/**
 * @returns for each fleet the releases that a text can mean in it, by slug.
 * @throws ZodError where the API's answer is not of the expected form
 */
export function parseCandidates(rows: unknown): Map<string, MatchedRelease[]> {
	return new Map(
		z
			.array(fleetRow)
			.parse(rows)
			.map((row) => [row.slug, row.owns__release ?? row.should_be_running__release ?? []]),
	);
}

/**
 * @returns what a block's name means: in the order of `ARCHITECTURES`, the image of each fleet that has one for the service;
 * where none has, why
 */
export function imagesOfBlock(reference: ReleaseReference, members: readonly Member[]): BlockImage[] | Failure {
	const images = ARCHITECTURES.flatMap(({ name }) => {
		const member = members.find(({ architecture }) => architecture === name);
		const image = member && pickImage(reference, member.release);
		return image === undefined
			? []
			: [{ architecture: name, repository: image.repository, version: versionOf(member!.release), digest: image.digest }];
	});
	return images.length > 0 ? images : chooseService(reference, members[0]!.release);
}

/** @returns a neighbourhood in which a block is there as if it were one fleet: for the sentence about what none of its fleets has */
export function asOneFleet(around: Neighbourhood): Neighbourhood {
	const latest = around.block
		.map((one) => one.latest)
		.filter((row) => row !== undefined)
		.sort(highestFirst)[0];
	return { ...around, fleet: { latest, services: [...new Set(around.block.flatMap(({ services }) => services))] } };
}
