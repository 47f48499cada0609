import type { Upstream } from './describe.ts';
import type { KeyHolder } from './keys.ts';
import type { FollowedRequest } from './object-storage.ts';
import type { Access, SignOptions } from './tokens.ts';

/*
 * What tests can change while the stand-in runs. It is shared by all test files of a run: change only `acme/changing`, or a stand-in of your own.
 */

/** @param target raw version of the release that the fleet shall track */
export async function changeFleet(upstream: Upstream, slug: string, change: { isPublic?: boolean; target?: string }): Promise<void> {
	await post(upstream, '/test/fleet', { slug, ...change });
}

export async function addKey(upstream: Upstream, holder: KeyHolder): Promise<void> {
	await post(upstream, '/test/key', holder);
}

/**
 * Mints a token that the registry trusts, for what the token endpoint would never issue: one that is expired (beyond the minute by which clocks may
 * differ), one for another registry, one that may push.
 */
export async function mintToken(upstream: Upstream, access: Access[], options: SignOptions = {}): Promise<string> {
	return ((await post(upstream, '/test/token', { access, ...options })) as { token: string }).token;
}

/** From now on tokens are signed with a new key, and only those are trusted. Not with docker-registry. */
export async function rotateKeys(upstream: Upstream): Promise<void> {
	await post(upstream, '/test/rotate-keys', {});
}

/** @returns what has come by signed URLs to distribution's object storage */
export async function followedRequests(upstream: Upstream): Promise<FollowedRequest[]> {
	return (await post(upstream, '/test/followed', {})) as FollowedRequest[];
}

async function post({ apiUrl }: Upstream, path: string, body: object): Promise<unknown> {
	const response = await fetch(`${apiUrl}${path}`, {
		method: 'POST',
		headers: { 'content-type': 'application/json' },
		body: JSON.stringify(body),
	});
	if (response.status !== 200) {
		throw new Error(`the sample upstream answered ${response.status} to ${path}: ${await response.text()}`);
	}
	return await response.json();
}
