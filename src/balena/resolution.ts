import { asOneFleet, fleetsOfBlock, imagesOfBlock, parseCandidates, type BlockImage, type Member } from './block.ts';
import { ambiguousCommit, chooseService, explainNoRelease, type Failure } from './explain.ts';
import { neighbourhoodQuery, parseNeighbourhood, type Neighbourhood } from './neighbourhood.ts';
import { parseAnswer as parse } from './parse-answer.ts';
import type { ReleaseReference } from './reference.ts';
import { explanationQueries, prereleasesQuery, releaseQuery, releasesQuery } from './release-query.ts';
import { matchRelease, parseReleases, parseRows, pickImage, versionOf, type MatchedRelease } from './release.ts';

/**
 * What a reference means to a caller: an image in the upstream registry, several of a block, or the sentence that says why it
 * means none.
 */
export type Resolution =
	| { kind: 'image'; repository: string; digest: string | undefined; version: string }
	| { kind: 'block'; images: BlockImage[] }
	| ({ kind: 'failure' } & Failure);

/** The same of a name whichever of its services is asked for. */
export type Matched = { kind: 'release'; release: MatchedRelease } | { kind: 'block'; members: Member[] } | ({ kind: 'failure' } & Failure);

/** Who is asked on the way. */
export interface Asking {
	/** Asks the OData API with the caller's own rights. */
	query(resource: 'release' | 'application', options: Record<string, unknown>): Promise<unknown>;
	/** @returns fleets of the same name that everybody sees */
	namesakesOf(slug: string): Promise<string[]>;
	isAnonymous: boolean;
	/** Whether a name that is no fleet may be a block. */
	hasBlocks: boolean;
}

/**
 * Finds what a reference means: by one query, where it is a release. Where it is none, a second one, which depends on the
 * reference alone, says which fleets the caller sees: a block, whose releases are a third; or what there is instead, by a few
 * more. So a hidden fleet makes the same work as one that does not exist.
 *
 * @throws what the queries throw
 */
export async function match(reference: ReleaseReference, asking: Asking): Promise<Matched> {
	const query = releaseQuery(reference);
	const candidates = query === undefined ? [] : parse(parseReleases, await asking.query('release', query));
	const found = await matchIn(reference, candidates, asking);
	if (found !== undefined) {
		return found;
	}
	const around = parse((rows) => parseNeighbourhood(rows, reference), await asking.query('application', neighbourhoodQuery(reference)));
	const fleets = asking.hasBlocks ? fleetsOfBlock(reference, around) : [];
	return fleets.length === 0
		? { kind: 'failure', ...(await explain(reference, reference.slug, around, asking)) }
		: ((await matchInBlock(reference, fleets, asking)) ?? {
				kind: 'failure',
				...(await explain(reference, fleets, asOneFleet(around), asking)),
			});
}

/** @returns undefined where none of a fleet's releases is meant */
async function matchIn(
	reference: ReleaseReference,
	candidates: MatchedRelease[],
	asking: Asking,
): Promise<Exclude<Matched, { kind: 'block' }> | undefined> {
	const more = prereleasesQuery(reference, candidates);
	const all = more === undefined ? candidates : [...candidates, ...parse(parseReleases, await asking.query('release', more))];
	const matching = matchRelease(all, reference.release);
	switch (matching.kind) {
		case 'one':
			return { kind: 'release', release: matching.release };
		case 'ambiguous':
			return { kind: 'failure', ...ambiguousCommit(reference, matching.releases) };
		case 'none':
			return undefined;
	}
}

/** @returns what a text means in each of a block's fleets, as far as they have such a release; undefined where none has */
async function matchInBlock({ slug: block, release }: ReleaseReference, fleets: string[], asking: Asking): Promise<Matched | undefined> {
	const query = releasesQuery(fleets, release);
	const candidates = query === undefined ? undefined : parse(parseCandidates, await asking.query('application', query));
	const members: Member[] = [];
	for (const slug of fleets) {
		const found = await matchIn({ slug, release, service: undefined }, candidates?.get(slug) ?? [], asking);
		if (found?.kind === 'failure') {
			return found;
		}
		if (found !== undefined) {
			members.push({ slug, architecture: slug.slice(block.length + 1), release: found.release });
		}
	}
	return members.length === 0 ? undefined : { kind: 'block', members };
}

/** @param slug of the fleet, or all that a block's releases are looked for in */
async function explain(reference: ReleaseReference, slug: string | string[], around: Neighbourhood, asking: Asking): Promise<Failure> {
	const queries = around.fleet === undefined ? [] : explanationQueries({ slug, release: reference.release });
	const [namesakes, ...releases] = await Promise.all([
		around.fleet === undefined ? asking.namesakesOf(reference.slug).catch((): string[] => []) : [],
		...queries.map(async (query) => parse(parseRows, await asking.query('release', query))),
	]);
	return explainNoRelease(reference, { around, namesakes, releases: releases.flat() }, asking.isAnonymous);
}

/** @returns what a name means, now that a service is asked for or none */
export function resolution(reference: ReleaseReference, matched: Matched): Resolution {
	switch (matched.kind) {
		case 'failure':
			return withService(matched, reference.service);
		case 'block': {
			const images = imagesOfBlock(reference, matched.members);
			return Array.isArray(images) ? { kind: 'block', images } : { kind: 'failure', ...images };
		}
		case 'release': {
			const image = pickImage(reference, matched.release);
			return image === undefined
				? { kind: 'failure', ...chooseService(reference, matched.release) }
				: { kind: 'image', repository: image.repository, digest: image.digest, version: versionOf(matched.release) };
		}
	}
}

function withService(failure: { kind: 'failure' } & Failure, service: string | undefined): Resolution {
	const { message, serviceAt } = failure;
	return serviceAt === undefined || service === undefined
		? failure
		: { ...failure, message: `${message.slice(0, serviceAt)}/${service}${message.slice(serviceAt)}` };
}

/** Of a release besides its images, and of an image besides its names. */
const OVERHEAD_BYTES = 800;
const IMAGE_BYTES = 200;

/** @returns about how many bytes it takes in memory */
export function sizeOfMatched(matched: Matched): number {
	switch (matched.kind) {
		case 'failure':
			return OVERHEAD_BYTES + matched.message.length;
		case 'block':
			return matched.members.reduce((sum, { release }) => sum + sizeOfRelease(release), 0);
		case 'release':
			return sizeOfRelease(matched.release);
	}
}

function sizeOfRelease({ images }: MatchedRelease): number {
	return images.reduce((sum, { service, repository }) => sum + service.length + repository.length + IMAGE_BYTES, OVERHEAD_BYTES);
}
