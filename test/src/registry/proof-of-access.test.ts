import type { IncomingHttpHeaders } from 'node:http';
import { describe } from 'node:test';
import { provesAccess } from '../../../src/registry/proof-of-access.ts';
import { table } from '../../support/table.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;
const REGISTRY = { 'docker-distribution-api-version': 'registry/2.0' };
const THE_BLOB = { 'docker-content-digest': DIGEST };

describe('provesAccess: a ping', () => {
	table<[status: number, headers: IncomingHttpHeaders]>(
		[
			[[200, REGISTRY], true],
			// Of whatever is in front of the registry.
			[[200, {}], false],
			[[204, REGISTRY], false],
			[[302, { ...REGISTRY, location: '/login' }], false],
			[[401, REGISTRY], false],
		],
		([status, headers]) => provesAccess({ kind: 'ping', status, headers }),
	);
});

describe('provesAccess: a manifest', () => {
	table<[status: number, isVerified: boolean]>(
		[
			[[200, true], true],
			[[200, false], false],
			[[206, true], false],
			[[404, true], false],
		],
		([status, isVerified]) => provesAccess({ kind: 'manifest', status, isVerified }),
	);
});

describe('provesAccess: a blob', () => {
	const away = { ...REGISTRY, location: 'https://storage.example/x' };
	table<[status: number, headers: IncomingHttpHeaders]>(
		[
			[[200, THE_BLOB], true],
			[[206, THE_BLOB], true],
			[[200, {}], false],
			[[206, REGISTRY], false],
			[[200, { ...REGISTRY, 'docker-content-digest': `sha256:${'1'.repeat(64)}` }], false],
			...[302, 303, 307, 308].map((status): [[number, IncomingHttpHeaders], boolean] => [[status, away], true]),
			...[302, 303, 307, 308].map((status): [[number, IncomingHttpHeaders], boolean] => [[status, { location: away.location }], false]),
			[[307, REGISTRY], false],
			// What gateways say, whatever they add to it.
			...[201, 202, 203, 204, 205, 207, 300, 301, 304, 305, 306, 400, 401, 403, 404, 416, 429, 500, 503].map(
				(status): [[number, IncomingHttpHeaders], boolean] => [[status, { ...away, ...THE_BLOB }], false],
			),
		],
		([status, headers]) => provesAccess({ kind: 'blob', status, headers, digest: DIGEST }),
	);
});
