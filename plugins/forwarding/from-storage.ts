import type { ForwardedAnswer } from '../../src/http/forward-request.ts';
import { upstreamStatusError } from '../../src/registry/error-response.ts';
import { followedHeaders } from '../../src/registry/headers.ts';
import { upstreamCause } from '../../src/registry/upstream-cause.ts';
import type { UpstreamRequest } from '../../src/registry/upstream-request.ts';

/**
 * What storage may say that is about the blob, or about when to come again. Anything else is about a request that the client
 * knows nothing of.
 */
const OF_THE_BLOB: ReadonlySet<number> = new Set([404, 416, 429, 503]);

/**
 * @param answer of object storage, to which the registry has redirected
 * @returns what the client sees of it: the blob, or a part
 * @throws RegistryError where it is neither
 */
export function fromStorage(asked: UpstreamRequest, { statusCode, headers, body }: ForwardedAnswer): ForwardedAnswer {
	if (statusCode === 200 || statusCode === 206) {
		return { statusCode, headers: followedHeaders(headers, asked.item), body };
	}
	const cause = upstreamCause('the object storage', statusCode, 'whole' in body ? body.whole : Buffer.alloc(0));
	body.destroy();
	throw upstreamStatusError(OF_THE_BLOB.has(statusCode) ? statusCode : 502, { ...asked, name: asked.name ?? '' }, headers, cause);
}
