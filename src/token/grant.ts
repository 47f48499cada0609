import type { FleetReference, Reference } from '../balena/reference.ts';
import type { ErrorCode } from '../errors.ts';

/**
 * What a friendly name meant when the token was issued. A pull is thereby pinned to the release that its start resolved, and a failed
 * resolution reaches the manifest request, where clients show its sentence.
 */
export type Grant =
	| { kind: 'image'; repository: string; version: string }
	/** A bare fleet whose tags name releases: the release is found when the tag is known. */
	| { kind: 'fleet' }
	| { kind: 'failure'; code: ErrorCode; message: string };

/** @returns what a reference means that needs no resolution: the upstream's own names mean themselves, and what is no reference means nothing to anybody. */
export function fixedGrant(reference: Exclude<Reference, FleetReference>): Grant {
	return reference.kind === 'repository'
		? { kind: 'image', repository: reference.repository, version: '' }
		: { kind: 'failure', code: 'NAME_INVALID', message: reference.message };
}
