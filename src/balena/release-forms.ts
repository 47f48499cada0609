import { isName } from '../registry/name.ts';
import type { ReleaseRow } from './release.ts';
import { formatVersion, parseSeries, parseVersion, type Version } from './version.ts';

/** A condition on releases, as `sdk.pine.get` takes it. */
export type Filter = Record<string, unknown>;

/** One way in which a text can name a release. */
interface Form<Value> {
	/** What the text is, in the words of docs/request-handling.md, which lists the forms in the same order. */
	name: string;
	/** @returns what the text says in this form; undefined where it does not have its shape, so that nobody has to be asked */
	read(text: string): Value | undefined;
	/**
	 * Which rows the text names, to the API. It asks by number first: that is what keeps a query as cheap in a fleet of 10,000
	 * releases as in one of 10.
	 */
	filter(value: Value): Filter;
	/** Whether the text names a row: the same as `filter`, in code. */
	matches(value: Value, row: ReleaseRow): boolean;
	/** Whether only final releases go by this name. */
	isFinalOnly: boolean;
	/** What to do with rows of several commits: take the highest, or ask which. */
	ofSeveral: 'highest' | 'ambiguous';
	/** @returns the texts of this form that name a row, if it goes by this form at all */
	write(row: ReleaseRow): string[];
}

/** A form whose shape a text has, so that nothing but a row is wanted. */
export interface NamedForm extends Pick<Form<unknown>, 'name' | 'isFinalOnly' | 'ofSeveral'> {
	filter: Filter;
	/** Whether a row has the name, and so would be meant if it could be pulled. */
	names(row: ReleaseRow): boolean;
	/** Whether a row can be pulled by the name. */
	matches(row: ReleaseRow): boolean;
}

/** A row of the table, of which only itself knows what it reads from a text. */
export interface ReleaseForm extends Pick<Form<unknown>, 'name' | 'write'> {
	of(text: string): NamedForm | undefined;
}

function form<Value>({ read, filter, matches, ...rest }: Form<Value>): ReleaseForm {
	const { name, isFinalOnly, ofSeveral, write } = rest;
	return {
		name,
		write,
		of(text) {
			const value = read(text);
			if (value === undefined) {
				return undefined;
			}
			const names = (row: ReleaseRow): boolean => matches(value, row);
			return { name, isFinalOnly, ofSeveral, filter: filter(value), names, matches: (row) => (!isFinalOnly || row.isFinal) && names(row) };
		},
	};
}

const HEX = /^[0-9a-f]{7,64}$/;
/** Commits have 32 or 40 hex digits. */
const MIN_ABBREVIATION = 7;

const commitOf = (text: string): string | undefined => (HEX.test(text) ? text : undefined);
const withV = (text: string): string[] => [text, `v${text}`];

/**
 * All that a release's text can be. The first form that a release matches wins, so that exact names beat abbreviations. The
 * query, the match, the explanation of a failure, the list in docs/request-handling.md and the generator of the property tests
 * are made from this table.
 */
export const RELEASE_FORMS: readonly ReleaseForm[] = [
	form({
		name: 'its commit',
		read: commitOf,
		filter: (commit) => ({ commit }),
		matches: (commit, row) => row.commit === commit,
		isFinalOnly: false,
		ofSeveral: 'highest',
		write: (row) => [row.commit],
	}),
	form({
		name: 'version of a final release, with or without a leading `v`; of several revisions, the highest',
		read: parseVersion,
		filter: (version) => ({ ...numbersOf(version), semver_prerelease: version.prerelease }),
		matches: (version, { version: own }) => isSameVersion(version, own),
		isFinalOnly: true,
		ofSeveral: 'highest',
		write: ({ isFinal, version }) => (isFinal && version !== undefined ? withV(formatVersion(version)) : []),
	}),
	form({
		name: 'raw version, as of a draft with its build stamp, with or without a leading `v`',
		read: parseVersion,
		filter: (version) => ({ ...numbersOf(version), raw_version: formatVersion(version) }),
		matches: (version, row) => row.rawVersion === formatVersion(version),
		isFinalOnly: false,
		ofSeveral: 'highest',
		write: ({ rawVersion }) => (parseVersion(rawVersion) === undefined ? [] : withV(rawVersion)),
	}),
	form({
		name: 'raw version with `-` or `_` in the place of its `+`, which neither a name nor a tag can have: `2.3.8-rev1`, `2.3.8_rev1`',
		read: withPlus,
		filter: ({ version, rawVersions }) => ({ ...numbersOf(version), raw_version: { $in: rawVersions } }),
		matches: ({ rawVersions }, row) => rawVersions.includes(row.rawVersion),
		isFinalOnly: false,
		ofSeveral: 'highest',
		write: ({ rawVersion }) => (rawVersion.includes('+') ? ['-', '_'].flatMap((sign) => withV(rawVersion.replace('+', sign))) : []),
	}),
	form({
		name: 'beginning of its commit, at least 7 hex digits; if that is the beginning of several, an error that lists them',
		read: commitOf,
		filter: (commit) => ({ commit: { $startswith: commit } }),
		matches: (commit, row) => row.commit.startsWith(commit),
		isFinalOnly: false,
		ofSeveral: 'ambiguous',
		write: ({ commit }) => [MIN_ABBREVIATION, 12].filter((length) => length < commit.length).map((length) => commit.slice(0, length)),
	}),
	form({
		name: '`2` or `2.4`, with or without a leading `v`: the highest final release of that major, or major and minor',
		read: parseSeries,
		filter: ({ major, minor }) => ({ semver_major: major, ...(minor === undefined ? {} : { semver_minor: minor }) }),
		matches: ({ major, minor }, { version }) =>
			version !== undefined && version.major === major && (minor === undefined || version.minor === minor),
		isFinalOnly: true,
		ofSeveral: 'highest',
		write: ({ isFinal, version }) =>
			isFinal && version !== undefined ? [`${version.major}`, `${version.major}.${version.minor}`].flatMap(withV) : [],
	}),
];

/** @returns the forms whose shape a release's text has, in their order: none for a text that can name nothing */
export function formsOf(text: string): NamedForm[] {
	return RELEASE_FORMS.map((row) => row.of(text)).filter((named) => named !== undefined);
}

/**
 * @returns the shortest text that names exactly this release and that a person can type in a reference: its version, where that
 * means it, or its commit. A raw version with "+" cannot be typed.
 * @param isHighest whether it is the highest revision of its version
 */
export function typable(row: Pick<ReleaseRow, 'commit' | 'isFinal' | 'rawVersion' | 'version'>, isHighest = true): string {
	const text = row.isFinal ? isHighest && row.version !== undefined && formatVersion(row.version) : row.rawVersion;
	return text !== false && parseVersion(text) !== undefined && isName(text) ? text : row.commit;
}

/** Most places in which a "+" is thought of; versions have one or two. */
const MAX_PLACES = 8;
const SIGN = /[-_]/g;
const BUILD = /^[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*$/;

/** What a text can be with "+" in the place of one of its signs: https://semver.org, section 10. */
function withPlus(text: string): { version: Version; rawVersions: string[] } | undefined {
	const places = [...text.matchAll(SIGN)].slice(0, MAX_PLACES).map(({ index }) => [text.slice(0, index), text.slice(index + 1)] as const);
	const read = places.flatMap(([front, build]) => {
		const version = BUILD.test(build) ? parseVersion(front) : undefined;
		return version === undefined ? [] : [{ version, rawVersion: `${formatVersion(version)}+${build}` }];
	});
	return read[0] && { version: read[0].version, rawVersions: read.map(({ rawVersion }) => rawVersion) };
}

function numbersOf({ major, minor, patch }: Version): Filter {
	return { semver_major: major, semver_minor: minor, semver_patch: patch };
}

function isSameVersion(a: Version, b: Version | undefined): boolean {
	return b !== undefined && formatVersion(a) === formatVersion(b);
}
