import type { Failure } from '../../../src/balena/explain.ts';
import type { ReleaseReference } from '../../../src/balena/reference.ts';
import type { ReleaseRow } from '../../../src/balena/release.ts';
import { rowOf } from '../../support/release-row.ts';

/* What was typed, and what is said of it. */

export const SLUG = 'balenalabs/browser-aarch64';

/** What was typed behind the slug: "2.4.0", "2.4.0/main", or nothing. */
export function reference(text: string): ReleaseReference {
	const [release = '', service] = text.split('/');
	return { slug: SLUG, release: release === '' ? undefined : release, service };
}

export const release = (rawVersion: string, change: Partial<ReleaseRow> = {}): ReleaseRow =>
	rowOf(rawVersion, { commit: 'abcdef0123', ...change });

export const show = ({ code, message }: Failure): string => `${code}: ${message}`;
