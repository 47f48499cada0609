import { isName, isRepository } from '../registry/name.ts';
import { templateVariableIn } from '../registry/template-variable.ts';

/** What a person typed between the proxy's host and the tag. */
export type Reference =
	/** The upstream's own name of an image, `v2/<hash>`: passed through. */
	{ kind: 'repository'; repository: string } | FleetReference | { kind: 'invalid'; message: string };

/** A release of a fleet, and perhaps one of its services. */
export interface ReleaseReference {
	/** `<org>/<fleet>`, in lower case as the API stores it. */
	slug: string;
	/** Undefined for the release that the fleet tracks. */
	release: ReleaseText | undefined;
	/** Which service of a release with several; undefined where none was named. */
	service: string | undefined;
}

export interface FleetReference extends ReleaseReference {
	kind: 'fleet';
	/** Whether nothing followed the slug: then `release` is undefined because nothing was said, not because `latest` was. */
	isBare: boolean;
}

/** What a person typed for a release: what it can mean, `release-forms.ts` says. */
export type ReleaseText = string;

/** Words for "the release that the fleet tracks", which is the pinned one where a fleet is pinned: as the balena API reads them. */
const TRACKED = new Set(['latest', 'current', 'default', 'pinned']);

/**
 * Parses a repository name into what it refers to.
 *
 * @param name a name that `isName` accepts; anything else is refused with a message, never thrown
 */
export function parseReference(name: string): Reference {
	if (isRepository(name)) {
		return { kind: 'repository', repository: name };
	}
	const [org, fleet, release, service, ...rest] = name.split('/');
	if (!isName(name) || org === undefined || fleet === undefined || org === 'v2' || rest.length > 0) {
		return {
			kind: 'invalid',
			message:
				templateVariableIn(name) ??
				`"${name}" is not a reference to a fleet: use <org>/<fleet>, <org>/<fleet>/<release> or <org>/<fleet>/<release>/<service>`,
		};
	}
	return {
		kind: 'fleet',
		slug: `${org}/${fleet}`,
		isBare: release === undefined,
		release: release === undefined ? undefined : parseReleaseText(release),
		service,
	};
}

/** @returns the text of a release, in a name or as a tag; undefined for the words that stand for the one which the fleet tracks. */
export function parseReleaseText(text: string): ReleaseText | undefined {
	return isTracked(text) ? undefined : text;
}

/** @returns whether a text is one of the words for the release that the fleet tracks. */
export function isTracked(text: string): boolean {
	return TRACKED.has(text);
}

/**
 * @returns whether a name was `<org>/<fleet>` and no more, so that a tag is all that can say which release.
 * `<org>/<fleet>/latest` says it already.
 */
export function isBareFleet(reference: Reference): reference is FleetReference {
	return reference.kind === 'fleet' && reference.isBare;
}
