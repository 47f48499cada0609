/** What a version says of its order: https://semver.org, section 11, to which build metadata counts for nothing. */
export interface Version {
	major: number;
	minor: number;
	patch: number;
	/** `rc.1`; empty for none. */
	prerelease: string;
}

/** The API's numbers have 32 bits: it answers a query with a larger one with 500. */
const MAX_NUMBER = 2 ** 31 - 1;

const NUMBER = '(0|[1-9]\\d{0,9})';
const VERSION = new RegExp(`^v?${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-([0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*))?$`);
const SERIES = new RegExp(`^v?${NUMBER}(?:\\.${NUMBER})?$`);

/**
 * @returns a version without build metadata, with or without a leading "v"; undefined for any other text, and where a number is
 * more than the API can have
 */
export function parseVersion(text: string): Version | undefined {
	const match = VERSION.exec(text);
	if (match === null) {
		return undefined;
	}
	const [major, minor, patch] = match.slice(1, 4).map(Number) as [number, number, number];
	return Math.max(major, minor, patch) > MAX_NUMBER ? undefined : { major, minor, patch, prerelease: match[4] ?? '' };
}

/** The beginning of a version: `2`, or `2.4`. */
export interface Series {
	major: number;
	minor: number | undefined;
}

/** @returns a major, or a major and minor, with or without a leading "v"; undefined for any other text, and likewise */
export function parseSeries(text: string): Series | undefined {
	const match = SERIES.exec(text);
	if (match === null) {
		return undefined;
	}
	const [major, minor] = match.slice(1).map((part) => (part === undefined ? undefined : Number(part))) as [number, number | undefined];
	return Math.max(major, minor ?? 0) > MAX_NUMBER ? undefined : { major, minor };
}

const NUMBERS = /^v?(\d{1,9})(?:\.(\d{1,9})(?:\.(\d{1,9}))?)?(?=$|[-_+])/;

/** @returns major, minor and patch of a text that begins like a version, as far as it has them: for what is near it */
export function numbersIn(text: string): [major: number, minor: number | undefined, patch: number | undefined] | undefined {
	const match = NUMBERS.exec(text);
	return match === null
		? undefined
		: (match.slice(1).map((part) => (part === undefined ? undefined : Number(part))) as [number, number | undefined, number | undefined]);
}

export function formatVersion({ major, minor, patch, prerelease }: Version): string {
	return `${major}.${minor}.${patch}${prerelease === '' ? '' : `-${prerelease}`}`;
}

/**
 * Orders versions as https://semver.org, section 11 has it: negative where `a` comes first, which is the lower one; 0 for two of
 * the same precedence.
 */
export function compareVersions(a: Version, b: Version): number {
	return a.major - b.major || a.minor - b.minor || a.patch - b.patch || comparePrereleases(a.prerelease, b.prerelease);
}

function comparePrereleases(a: string, b: string): number {
	if (a === '' || b === '') {
		return Number(a === '') - Number(b === '');
	}
	const [left, right] = [a.split('.'), b.split('.')];
	for (let i = 0; i < Math.min(left.length, right.length); i++) {
		const order = compareIdentifiers(left[i]!, right[i]!);
		if (order !== 0) {
			return order;
		}
	}
	return left.length - right.length;
}

/** Numbers by their value, of which the longer is the higher one, and before words; words by their characters. */
function compareIdentifiers(a: string, b: string): number {
	const [isNumberA, isNumberB] = [a, b].map((text) => /^\d+$/.test(text)) as [boolean, boolean];
	if (isNumberA !== isNumberB) {
		return isNumberA ? -1 : 1;
	}
	const byLength = isNumberA ? a.length - b.length : 0;
	return byLength !== 0 ? byLength : a < b ? -1 : Number(a > b);
}
