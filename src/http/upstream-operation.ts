/** Labels of an upstream request in metrics: few values, whatever the paths are. */
export interface UpstreamOperation {
	upstream: 'api' | 'registry';
	operation: string;
}

const REGISTRY_OPERATION = /\/(manifests|blobs|tags|referrers)\/[^/]*$/;

/**
 * @param origin scheme, host and port of a request
 * @returns undefined for a request to neither upstream
 */
export function upstreamOperation(
	origin: string,
	path: string,
	{ API_URL, REGISTRY_URL }: { API_URL: string; REGISTRY_URL: string },
): UpstreamOperation | undefined {
	const route = path.split('?', 1)[0] ?? '';
	if (origin === REGISTRY_URL && route.startsWith('/v2')) {
		return { upstream: 'registry', operation: REGISTRY_OPERATION.exec(route)?.[1] ?? 'ping' };
	}
	if (origin === API_URL) {
		return { upstream: 'api', operation: route === '/auth/v1/token' ? 'token' : route === '/ping' ? 'ping' : 'query' };
	}
	return undefined;
}
