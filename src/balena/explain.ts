import type { ErrorCode } from '../errors.ts';
import type { ReleaseReference } from './reference.ts';
import { formsOf, typable } from './release-forms.ts';
import { versionOf, type Fleet, type MatchedRelease, type ReleaseRow } from './release.ts';

/** Why a reference cannot be pulled: one sentence that says what is wrong and what would work. */
export interface Failure {
	code: ErrorCode;
	message: string;
	/** What is not there, if that is why: the fleet, as far as the caller may know, or any release that goes by the name. */
	absent?: 'fleet' | 'release';
}

const MAX_LISTED = 8;

/** The same words whether the fleet does not exist or is hidden from the caller, so that they tell nobody which. */
export function noSuchFleet(slug: string, isAnonymous: boolean): Failure {
	return {
		code: 'NAME_UNKNOWN',
		absent: 'fleet',
		message: isAnonymous
			? `there is no public fleet ${slug}; if it is private, log in first, with any user name and a balena API key as the password`
			: `there is no fleet ${slug} that this login may pull from; check the name, and whether the API key's user has access to it`,
	};
}

/** Several commits begin with the hex digits that were typed. */
export function ambiguousCommit({ slug, release }: ReleaseReference, candidates: MatchedRelease[]): Failure {
	const commits = candidates.slice(0, MAX_LISTED).map((row) => `${row.commit} (${versionOf(row)})`);
	return {
		code: 'NAME_UNKNOWN',
		message: `${slug} has several releases whose commit begins with ${release ?? ''}: ${commits.join(', ')}`,
	};
}

/** A release with several services was named without one of them, or with one that it does not have. */
export function chooseService({ slug, release, service }: ReleaseReference, matched: MatchedRelease): Failure {
	const names = matched.images.map((image) => image.service).sort();
	if (names.length === 0) {
		return { code: 'NAME_UNKNOWN', message: `release ${versionOf(matched)} of ${slug} has no image to pull` };
	}
	const example = `${slug}/${release ?? 'latest'}/${names[0]!.toLowerCase()}`;
	const what =
		service === undefined
			? `release ${versionOf(matched)} of ${slug} has several services`
			: `release ${versionOf(matched)} of ${slug} has no service ${service}; it has`;
	return { code: 'NAME_UNKNOWN', message: `${what}: ${listed(names)}; pull one of them, as in ${example}` };
}

/**
 * Explains why no release matched.
 *
 * @param fleet what `explanationQuery` found, undefined where the fleet is not there for this caller
 */
export function explainNoRelease(reference: ReleaseReference, fleet: Fleet | undefined, isAnonymous: boolean): Failure {
	const { slug, release } = reference;
	if (fleet === undefined) {
		return noSuchFleet(slug, isAnonymous);
	}
	const final = fleet.releases.filter((row) => row.isFinal && row.status === 'success');
	if (release === undefined) {
		return { code: 'NAME_UNKNOWN', message: `${slug} has no release to pull yet${suggestion(final, undefined)}` };
	}
	const forms = formsOf(release);
	const named = fleet.releases.filter((row) => forms.some(({ names }) => names(row)));
	const draft = named.find((row) => row.status === 'success' && !row.isFinal);
	if (draft !== undefined) {
		return {
			code: 'NAME_UNKNOWN',
			message: `release ${release} of ${slug} is a draft; pull it by its whole version, as in ${slug}/${typable(draft)}`,
		};
	}
	const unfinished = named.find((row) => row.status !== 'success');
	if (unfinished !== undefined) {
		return {
			code: 'NAME_UNKNOWN',
			message: `release ${release} of ${slug} ${unfinished.status === 'running' ? 'is still building' : `did not build (its status is "${unfinished.status}")`}${suggestion(final, release)}`,
		};
	}
	return { code: 'NAME_UNKNOWN', absent: 'release', message: `${slug} has no release ${release}${suggestion(final, release)}` };
}

function suggestion(final: ReleaseRow[], wanted: string | undefined): string {
	const versions = [...new Set(final.map((row) => typable(row)))];
	const [latest] = versions;
	if (latest === undefined) {
		return wanted === undefined ? '' : `; it has no finished release yet`;
	}
	const closest = wanted === undefined ? undefined : closestVersion(wanted, versions);
	return closest === undefined || closest === latest ? `; its latest is ${latest}` : `; its latest is ${latest}, and ${closest} exists`;
}

/**
 * @param versions `major.minor.patch`, highest first
 * @returns the version nearest to the wanted one: of the same major and minor if there is one, else of the same major. Undefined where nothing is near.
 */
export function closestVersion(wanted: string, versions: string[]): string | undefined {
	const parts = numbers(wanted);
	if (parts === undefined) {
		return undefined;
	}
	for (let shared = 2; shared >= 1; shared--) {
		const near = versions.filter(
			(version) =>
				numbers(version)
					?.slice(0, shared)
					.every((part, i) => part === parts[i]) ?? false,
		);
		if (near.length > 0) {
			const distance = (version: string): number => Math.abs((numbers(version)?.[shared] ?? 0) - (parts[shared] ?? 0));
			return near.reduce((best, version) => (distance(version) < distance(best) ? version : best));
		}
	}
	return undefined;
}

function numbers(version: string): number[] | undefined {
	const match = /^v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?/.exec(version);
	return match === null ? undefined : match.slice(1).map((part) => Number(part ?? 0));
}

function listed(names: string[]): string {
	return names.length > MAX_LISTED ? `${names.slice(0, MAX_LISTED).join(', ')} and ${names.length - MAX_LISTED} more` : names.join(', ');
}
