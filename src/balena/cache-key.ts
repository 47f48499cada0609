import type { Caller } from './caller.ts';
import type { ReleaseReference } from './reference.ts';

/**
 * What a resolution is remembered under: who asked, and for what. No part can hold the separator, and an empty one stands only
 * for a part that was not said, so no two different questions share an answer.
 */
export function cacheKey({ slug, release, service }: ReleaseReference, caller: Caller): string {
	return [caller.fingerprint, slug, release ?? '', service ?? ''].join(' ');
}
