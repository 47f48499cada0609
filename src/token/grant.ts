import { memberSlug, type BlockImage } from '../balena/block.ts';
import type { FleetReference, Reference } from '../balena/reference.ts';
import type { ErrorCode } from '../errors.ts';

/** One image of one release. */
export interface ImageGrant {
	kind: 'image';
	repository: string;
	/** For logs and sentences; empty where nobody knows. */
	version: string;
}

/** A failed resolution, which reaches the manifest request, where clients show its sentence. */
export interface FailureGrant {
	kind: 'failure';
	code: ErrorCode;
	message: string;
	/** What is not there, if that is the failure. Known while a name is resolved, and not part of a token. */
	absent?: 'fleet' | 'release';
}

/** A name that can come to mean another release: docs/tags.md. */
export interface FleetGrant {
	kind: 'fleet';
	slug: string;
	/** Whether a tag is all that can say which release. */
	isBare: boolean;
	/**
	 * What the name meant when the token was issued: a pull is thereby pinned to the release that its start resolved, but for
	 * what the fleet's other releases have.
	 */
	current: ImageGrant | FailureGrant;
	/** Of the current image's manifest, where the API knows it: one digest that need not be looked for. */
	digest: string | undefined;
}

/** A name that stands for images of several fleets, one for each architecture: docs/architectures.md. */
export interface BlockGrant {
	kind: 'block';
	slug: string;
	/** As of a fleet. */
	isBare: boolean;
	/** Whether the name can come to mean another release, so that a digest may be of any other. */
	canMove: boolean;
	/** In the order of `ARCHITECTURES`, at most one of each, at least one. */
	images: readonly BlockImage[];
}

/** What a friendly name means to the holder of a token. */
export type Grant = ImageGrant | FailureGrant | FleetGrant | BlockGrant;

/**
 * @returns what a reference means that needs no resolution: the upstream's own names mean themselves, and what is no reference
 * means nothing to anybody.
 */
export function fixedGrant(reference: Exclude<Reference, FleetReference>): ImageGrant | FailureGrant {
	return reference.kind === 'repository'
		? { kind: 'image', repository: reference.repository, version: '' }
		: { kind: 'failure', code: 'NAME_INVALID', message: reference.message };
}

/** @returns what a reference means to a block's images */
export function blockGrant(reference: FleetReference, images: readonly BlockImage[]): BlockGrant {
	const { slug, isBare } = reference;
	return { kind: 'block', slug, isBare, canMove: images.some((image) => canMove(reference, { ...image, kind: 'image' })), images };
}

/** @returns what a reference to a fleet means, now that it has been resolved */
export function resolvedGrant(
	reference: FleetReference,
	resolved: (ImageGrant & { digest?: string | undefined }) | FailureGrant | Pick<BlockGrant, 'kind' | 'images'>,
): Grant {
	if (resolved.kind === 'block') {
		return blockGrant(reference, resolved.images);
	}
	if (!canMove(reference, resolved)) {
		return resolved;
	}
	const digest = resolved.kind === 'image' ? resolved.digest : undefined;
	return { kind: 'fleet', slug: reference.slug, isBare: reference.isBare, current: resolved, digest };
}

/** @returns the repositories that a token has to be for */
export function repositoriesOf(grant: Grant): string[] {
	switch (grant.kind) {
		case 'image':
			return [grant.repository];
		case 'fleet':
			return repositoriesOf(grant.current);
		case 'block':
			return grant.images.map(({ repository }) => repository);
		case 'failure':
			return [];
	}
}

/**
 * @returns what credentials have to be sealed for that this proxy may act behind a grant with: a fleet, or all that a block may
 * have, which are others than the fleet of its name
 */
export function sealedFor({ kind, slug }: Pick<FleetGrant | BlockGrant, 'kind' | 'slug'>): string {
	return kind === 'fleet' ? slug : memberSlug(slug, '*');
}

/** @returns the same for any grant; none where this proxy never has to */
export function allSealedFor(grant: Grant): string[] {
	return grant.kind === 'fleet' || (grant.kind === 'block' && grant.canMove) ? [sealedFor(grant)] : [];
}

/** @returns the fleets in whose other releases a digest behind a name may be */
export function fleetsOf(grant: FleetGrant | BlockGrant): string[] {
	return grant.kind === 'fleet' ? [grant.slug] : grant.images.map(({ architecture }) => memberSlug(grant.slug, architecture));
}

const COMMIT = /^[0-9a-f]{7,64}$/;

/** A commit, and a version of which there is no revision, mean the same for ever. What is not there at all has nothing else to offer. */
function canMove({ release }: FleetReference, current: ImageGrant | FailureGrant): boolean {
	if (current.kind === 'failure') {
		return release === undefined && current.absent !== 'fleet';
	}
	return release === undefined || (!COMMIT.test(release) && current.version !== '' && release.replace(/^v/, '') !== current.version);
}
