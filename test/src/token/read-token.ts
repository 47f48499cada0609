import { parseToken } from '../../../src/token/client-token.ts';
import type { Grant } from '../../../src/token/grant.ts';

/* Client tokens as texts, and what they say. */

export const REPOSITORY = `v2/${'0123456789abcdef'.repeat(2)}`;
export const IMAGE = [REPOSITORY, '2.4.0'];
export const CURRENT = { kind: 'image', repository: REPOSITORY, version: '2.4.0' } satisfies Grant;

export const base64url = (value: unknown): string =>
	Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
/** A token that says this of names. */
export const withNames = (names: unknown): string => `a.b.c~${base64url({ n: names })}`;

/** What a text means, in a form that a row can show. */
export function read(text: string): unknown {
	const token = parseToken(text);
	return token && { upstream: token.upstream, grants: Object.fromEntries(token.grants), sealed: token.sealed };
}
