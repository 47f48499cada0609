import { describe } from 'node:test';
import { upstreamOperation } from '../../../src/http/upstream-operation.ts';
import { table } from '../../support/table.ts';

const UPSTREAMS = { API_URL: 'https://api', REGISTRY_URL: 'https://registry' };
const REPOSITORY = `v2/${'0'.repeat(32)}`;

describe('upstreamOperation: few labels, whatever the paths are', () => {
	table<[origin: string, path: string]>(
		[
			[['https://registry', '/v2/'], { upstream: 'registry', operation: 'ping' }],
			[['https://registry', `/v2/${REPOSITORY}/manifests/latest`], { upstream: 'registry', operation: 'manifests' }],
			[['https://registry', `/v2/${REPOSITORY}/blobs/sha256:0`], { upstream: 'registry', operation: 'blobs' }],
			[['https://registry', `/v2/${REPOSITORY}/tags/list`], { upstream: 'registry', operation: 'tags' }],
			[['https://registry', `/v2/${REPOSITORY}/referrers/sha256:0?artifactType=a/b`], { upstream: 'registry', operation: 'referrers' }],
			[['https://registry', '/v2/?x=/blobs/y'], { upstream: 'registry', operation: 'ping' }],
			[['https://api', '/auth/v1/token?scope=x'], { upstream: 'api', operation: 'token' }],
			[['https://api', '/ping'], { upstream: 'api', operation: 'ping' }],
			[['https://api', '/v7/release?$filter=x'], { upstream: 'api', operation: 'query' }],
			[['https://elsewhere', '/v2/'], undefined],
			[['https://registry', '/metrics'], undefined],
			[['http://registry', '/v2/'], undefined],
		],
		([origin, path]) => upstreamOperation(origin, path, UPSTREAMS),
	);
	// Both upstreams behind one address.
	table<string>(
		[
			['/v2/', { upstream: 'registry', operation: 'ping' }],
			['/v7/release', { upstream: 'api', operation: 'query' }],
			['/auth/v1/token', { upstream: 'api', operation: 'token' }],
		],
		(path) => upstreamOperation('https://one', path, { API_URL: 'https://one', REGISTRY_URL: 'https://one' }),
	);
});
