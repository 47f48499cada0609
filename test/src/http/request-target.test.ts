import { describe } from 'node:test';
import { readTarget } from '../../../src/http/request-target.ts';
import { table } from '../../support/table.ts';

describe('readTarget: RFC 9112 section 3.2', () => {
	table<string>(
		[
			['/v2/', { path: '/v2/' }],
			['/v2/a/b?x=%zz', { path: '/v2/a/b?x=%zz' }],
			['/v2/%61?x', { path: '/v2/%61?x' }],
			['http://proxy.example/v2/?n=1', { path: '/v2/?n=1', host: 'proxy.example' }],
			['HTTPS://proxy.example:8443/v2/', { path: '/v2/', host: 'proxy.example:8443' }],
			['http://[::1]:5000/v2/', { path: '/v2/', host: '[::1]:5000' }],
			['http://proxy.example', { path: '/', host: 'proxy.example' }],
			['http://proxy.example?n=1', { path: '/?n=1', host: 'proxy.example' }],
			// Not a host; it is refused where it is needed.
			['http://user@proxy.example/v2/', { path: '/v2/', host: 'user@proxy.example' }],
			['http:///v2/', { path: '/http:///v2/' }],
			['ftp://proxy.example/v2/', { path: '/ftp://proxy.example/v2/' }],
			['*', { path: '/*' }],
			['', { path: '/' }],
			// What cannot be decoded is taken as it stands.
			['/v2/%zz', { path: '/v2/%25zz' }],
			['/v2/%ff?x=%ff', { path: '/v2/%25ff?x=%ff' }],
			['/v2/%', { path: '/v2/%25' }],
			['http://proxy.example/%zz', { path: '/%25zz', host: 'proxy.example' }],
		],
		readTarget,
	);
});
