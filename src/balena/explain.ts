import type { ErrorCode } from '../errors.ts';
import type { ReleaseReference } from './reference.ts';
import { fleetForArchitecture, type Neighbourhood } from './neighbourhood.ts';
import { formsOf, typable } from './release-forms.ts';
import { highestFirst, versionOf, type MatchedRelease, type ReleaseRow } from './release.ts';
import { numbersIn, parseVersion } from './version.ts';

/** Why a reference cannot be pulled: one sentence that says what is wrong and what would work. */
export interface Failure {
	code: ErrorCode;
	message: string;
	/** What is not there, if that is why: the fleet, as far as the caller may know, or any release that goes by the name. */
	absent?: 'fleet' | 'release';
	/** Where in the message the service belongs that was asked for, after the name of what there is instead: the rest is the same for all. */
	serviceAt?: number;
}

const MAX_LISTED = 8;

/**
 * The same words whether the fleet does not exist or is hidden from the caller, so that they tell nobody which. What there is
 * instead comes first; to log in is thought of only where nothing in the same organisation is the likelier answer.
 *
 * @param around what the caller sees beside the fleet
 * @param namesakes slugs of public fleets of the same name
 */
export function noSuchFleet(slug: string, isAnonymous: boolean, around?: Neighbourhood, namesakes: readonly string[] = []): Failure {
	const near =
		around === undefined
			? []
			: [around.withoutOwner, around.plain, ...around.block.map((one) => one.slug).sort()].filter((one) => one !== undefined);
	const parts = [isAnonymous ? `there is no public fleet ${slug}` : `there is no fleet ${slug} that this login may pull from`];
	if (near.length > 0) {
		parts.push(`${near.length === 1 ? 'there is' : 'there are'} ${inWords(near)}`);
	}
	const others = namesakes.filter((other) => other !== slug && !near.includes(other));
	if (others.length > 0) {
		parts.push(`${inWords(others)} ${others.length === 1 ? 'exists' : 'exist'}`);
	}
	if (near.length === 0) {
		parts.push(
			isAnonymous
				? 'if it is private, log in first, with any user name and a balena API key as the password'
				: "check the name, and whether the API key's user has access to it",
		);
	}
	const message = parts.join('; ');
	const meant = around?.withoutOwner;
	return {
		code: 'NAME_UNKNOWN',
		absent: 'fleet',
		message,
		...(meant === undefined ? {} : { serviceAt: message.indexOf(meant, parts[0]!.length) + meant.length }),
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

/** What was found out about a failure, with the caller's own rights. */
export interface Findings {
	around: Neighbourhood;
	/** Public fleets of the same name; asked for only where the fleet itself is not there. */
	namesakes: readonly string[];
	/** Releases of the fleet that have the name, or are close to it. */
	releases: readonly ReleaseRow[];
}

/** Explains why no release matched. */
export function explainNoRelease(reference: ReleaseReference, { around, namesakes, releases }: Findings, isAnonymous: boolean): Failure {
	const { slug, release } = reference;
	const { fleet } = around;
	if (fleet === undefined) {
		return noSuchFleet(slug, isAnonymous, around, namesakes);
	}
	const pullable = [
		...(fleet.latest === undefined ? [] : [fleet.latest]),
		...releases.filter((row) => row.isFinal && row.status === 'success'),
	];
	const because = (what: string): Failure => ({ code: 'NAME_UNKNOWN', message: what });
	const absent = (what: string): Failure => ({ ...because(`${slug} has no release ${release}${what}`), absent: 'release' });
	if (release === undefined) {
		return because(`${slug} has no release to pull yet${suggestion(pullable, undefined)}`);
	}
	const forms = formsOf(release);
	const named = releases.filter((row) => forms.some(({ names }) => names(row))).sort(highestFirst);
	const draft = named.find((row) => row.status === 'success' && !row.isFinal);
	if (draft !== undefined) {
		return because(`release ${release} of ${slug} is a draft; pull it by its whole version, as in ${slug}/${typable(draft)}`);
	}
	const unfinished = named.find((row) => row.status !== 'success');
	if (unfinished !== undefined) {
		const { status } = unfinished;
		return because(
			`release ${release} of ${slug} ${status === 'running' ? 'is still building' : `did not build (its status is "${status}")`}${suggestion(pullable, release)}`,
		);
	}
	const other = fleetForArchitecture(around, release);
	if (other !== undefined) {
		return absent(`; there is ${other}`);
	}
	const service = fleet.services.find((name) => name.toLowerCase() === release);
	if (service !== undefined) {
		return absent(`, but a service of that name; pull it as ${slug}/latest/${release}`);
	}
	return absent(suggestion(pullable, release));
}

/** @param pullable final releases: the fleet's latest one, and those that are close */
function suggestion(pullable: ReleaseRow[], wanted: string | undefined): string {
	const [latest, ...others] = [...pullable].sort(highestFirst).map((row) => typable(row));
	if (latest === undefined) {
		return wanted === undefined ? '' : `; it has no finished release yet`;
	}
	const versions = [latest, ...others].filter((name) => parseVersion(name) !== undefined);
	const closest = wanted === undefined ? undefined : closestVersion(wanted, versions);
	return closest === undefined || closest === latest ? `; its latest is ${latest}` : `; its latest is ${latest}, and ${closest} exists`;
}

/**
 * @param versions `major.minor.patch`, highest first
 * @returns the version nearest to the wanted one: of the same major and minor if there is one, else of the same major. Undefined
 * where nothing is near.
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
	return numbersIn(version)?.map((part) => part ?? 0);
}

function inWords(names: readonly string[]): string {
	return names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)!}` : (names[0] ?? '');
}

function listed(names: string[]): string {
	return names.length > MAX_LISTED ? `${names.slice(0, MAX_LISTED).join(', ')} and ${names.length - MAX_LISTED} more` : names.join(', ');
}
