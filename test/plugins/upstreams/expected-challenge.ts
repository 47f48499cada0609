import { sharedUpstream } from '../../upstream/shared.ts';

const upstream = await sharedUpstream();
export const TOKEN_PATH = '/auth/v1/token';

/** @returns the whole header that is expected */
export function bearer(origin: string, scope?: string, more = ''): string {
	return `Bearer realm="${origin}${TOKEN_PATH}",service="${upstream.service}"${scope === undefined ? '' : `,scope="${scope.includes(':') ? scope : `repository:${scope}:pull`}"`}${more}`;
}
