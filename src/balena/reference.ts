import { isName, isRepository } from '../registry/name.ts';

/** What a person typed between the proxy's host and the tag. */
export type Reference =
	/** The upstream's own name of an image, `v2/<hash>`: passed through. */
	{ kind: 'repository'; repository: string } | FleetReference | { kind: 'invalid'; message: string };

/** A release of a fleet, and perhaps one of its services. */
export interface ReleaseReference {
	/** `<org>/<fleet>`, in lower case as the API stores it. */
	slug: string;
	/** Undefined for the release that the fleet tracks. */
	release: Release | undefined;
	/** Which service of a release with several; undefined where none was named. */
	service: string | undefined;
}

export interface FleetReference extends ReleaseReference {
	kind: 'fleet';
	/** Whether nothing followed the slug: then `release` is undefined because nothing was said, not because `latest` was. */
	isBare: boolean;
}

/** The forms of a release, in the text that was typed. Which of the forms it can be is decided by its shape alone. */
export interface Release {
	text: string;
	/** Versions that `text` may name exactly, the first one first: itself, then without a leading "v". */
	versions: string[];
	/** A commit, or the beginning of one: at least 7 hex digits. */
	commit: string | undefined;
	/** `2` or `2.4`: the highest final release of that major or minor. */
	series: { major: number; minor: number | undefined } | undefined;
}

/** Words for "the release that the fleet tracks", which is the pinned one where a fleet is pinned: as the balena API reads them. */
const TRACKED = new Set(['latest', 'current', 'default', 'pinned']);

const COMMIT = /^[0-9a-f]{7,64}$/;
/** Numbers without leading zeros, as in https://semver.org, section 2. */
const SERIES = /^v?(0|[1-9]\d{0,8})(?:\.(0|[1-9]\d{0,8}))?$/;
const VERSION_WITH_V = /^v(\d.*)$/;

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
			message: `"${name}" is not a reference to a fleet: use <org>/<fleet>, <org>/<fleet>/<release> or <org>/<fleet>/<release>/<service>`,
		};
	}
	return {
		kind: 'fleet',
		slug: `${org}/${fleet}`,
		isBare: release === undefined,
		release: release === undefined || TRACKED.has(release) ? undefined : parseRelease(release),
		service,
	};
}

/** @returns the forms that a release's text can have. A tag that names a release goes through here as well. */
export function parseRelease(text: string): Release {
	const withV = VERSION_WITH_V.exec(text);
	const series = SERIES.exec(text);
	return {
		text,
		versions: withV === null ? [text] : [text, withV[1]!],
		commit: COMMIT.test(text) ? text : undefined,
		series: series === null ? undefined : { major: Number(series[1]), minor: series[2] === undefined ? undefined : Number(series[2]) },
	};
}

/** @returns whether a text is one of the words for the release that the fleet tracks. */
export function isTracked(text: string): boolean {
	return TRACKED.has(text);
}

/** @returns whether a name was `<org>/<fleet>` and no more, so that a tag is all that can say which release. `<org>/<fleet>/latest` says it already. */
export function isBareFleet(reference: Reference): reference is FleetReference {
	return reference.kind === 'fleet' && reference.isBare;
}
