import type { Request } from './load.ts';
import { anonymousToken, startExpress, startForwardingService, startNginxProxy, type Target } from './targets.ts';
import type { Upstream } from './upstream.ts';
import { imageOf, startUpstream } from '../test/upstream/index.ts';

const SLUG = 'acme/pinned';

export interface RealRegistry {
	targets: Target[];
	/** The config of an image, by digest: small, and nobody's to keep, so that each request reaches the registry. */
	config: (target: Target) => Request;
	close(): Promise<void>;
}

/**
 * Starts the three proxies in front of Debian's docker-registry, which verifies tokens and reads files, with the stand-in for the
 * API.
 *
 * @param directory for nginx
 */
export async function startRealRegistry(directory: string): Promise<RealRegistry> {
	const upstream = await startUpstream({ registry: 'docker-registry' });
	const { apiUrl, registryUrl } = upstream;
	const { repository, platforms } = imageOf(upstream, SLUG);
	const token = await anonymousToken(apiUrl, repository);
	const content = { repository, name: SLUG, token } as Upstream['content'];
	const behind = { url: registryUrl, content } as Upstream;
	return {
		targets: [
			await startForwardingService(behind, { API_URL: apiUrl }),
			await startNginxProxy(behind, directory),
			{ ...(await startExpress(behind)), image: repository },
		],
		config: ({ image, token }) => ({
			method: 'GET',
			path: `/v2/${image}/blobs/${platforms[0]!.configDigest}`,
			headers: { authorization: `Bearer ${token}` },
			status: 200,
		}),
		close: () => upstream.close(),
	};
}
