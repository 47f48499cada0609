import { buffer } from 'node:stream/consumers';
import { begin, type Setup } from '../../support/setup.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';

/* A blob that is downloaded. */

const upstream = await sharedUpstream();
export const NAME = 'acme/pinned';
export const SAMPLE = imageOf(upstream, NAME);
export const LAYER = SAMPLE.platforms[0]!.layers[0]!;
/** The requests that a fault is for. */
export const BLOB = /\/blobs\//;
export const path = (digest: string, name = NAME): string => `/v2/${name}/blobs/${digest}`;

/** Reads a blob to its end. */
export async function download(
	{ proxy }: Pick<Setup, 'proxy'>,
	token: string,
	digest: string,
	headers: Record<string, string> = {},
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; bytes: Buffer }> {
	const response = await begin(proxy, path(digest), { token, headers });
	return { status: response.statusCode!, headers: response.headers, bytes: await buffer(response) };
}
