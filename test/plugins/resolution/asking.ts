import { ACCEPT, basic } from '../../support/proxy.ts';
import { ask, seen, tokenFor, type Answer, type Setup } from '../../support/setup.ts';
import { releaseOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';

/* Who asks for a release by a name, and what the API is asked for it. */

const upstream = await sharedUpstream();
const { keys } = upstream;
export const BROWSER = 'balenalabs/browser-aarch64';
export const DRAFT = '2.4.1-1648554962021';
export const commit = (rawVersion: string, slug = BROWSER): string => releaseOf(upstream, slug, rawVersion).commit;

/** Who asks: nobody in particular, or the holder of a sample key. */
export type Who = 'anonymous' | keyof typeof keys;
const authorizationOf = (who: Who): string | undefined =>
	who === 'anonymous' ? undefined : who === 'session' ? `Bearer ${keys.session}` : basic(keys[who]);

/** Asks for the manifest behind a name, with a token of its own. */
export async function manifest({ proxy }: Setup, name: string, who: Who, headers: Record<string, string> = {}): Promise<Answer> {
	return ask(proxy, `/v2/${name}/manifests/latest`, {
		token: await tokenFor(proxy, name, authorizationOf(who)),
		headers: { accept: ACCEPT, ...headers },
	});
}

/** Which resources of the API were asked for. */
export const queries = ({ api }: Setup): string[] => seen(api, ({ url }) => url.startsWith('/v7/')).map((line) => line.split(/[?(]/)[0]!);
