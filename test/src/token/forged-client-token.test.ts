import { describe } from 'node:test';
import { MAX_GRANTS } from '../../../src/token/client-token.ts';
import { table } from '../../support/table.ts';
import { base64url, IMAGE, read, REPOSITORY, withNames } from './read-token.ts';

describe('parseToken: forged contents', () => {
	table<unknown>(
		[
			[null, undefined],
			['org/app', undefined],
			[[], undefined],
			[[['org/app', IMAGE]], undefined],
			[{ 'org/app': null }, undefined],
			[{ 'org/app': true }, undefined],
			[{ 'org/app': 'image' }, undefined],
			[{ 'org/app': REPOSITORY }, undefined],
			[{ 'org/app': [] }, undefined],
			[{ 'org/app': [REPOSITORY] }, undefined],
			[{ 'org/app': [REPOSITORY, 2] }, undefined],
			[{ 'org/app': [[REPOSITORY], '2.4.0'] }, undefined],
			[{ 'org/app': ['v2/../../_catalog', '2.4.0'] }, undefined],
			[{ 'org/app': [`${REPOSITORY}/../x`, '2.4.0'] }, undefined],
			[{ 'org/app': [`${REPOSITORY}?x=`, '2.4.0'] }, undefined],
			[{ 'org/app': [`${REPOSITORY}\r\nx-evil: 1`, '2.4.0'] }, undefined],
			[{ 'org/app': ['https://elsewhere/v2/x', '2.4.0'] }, undefined],
			[{ 'org/app': ['//elsewhere/x', '2.4.0'] }, undefined],
			[{ 'org/app': ['library/alpine', '2.4.0'] }, undefined],
			[{ 'org/app': [REPOSITORY, '2.4.0\r\nx-evil: 1'] }, undefined],
			[{ 'org/app': [REPOSITORY, '../2.4.0'] }, undefined],
			[{ 'org/app': [REPOSITORY, '.4.0'] }, undefined],
			[{ 'org/app': [REPOSITORY, '2'.repeat(129)] }, undefined],
			[{ 'org/app': {} }, undefined],
			[{ 'org/app': 'fleet' }, undefined],
			[{ 'org/app': { fleet: true } }, undefined],
			[{ 'org/app': { fleet: null } }, undefined],
			[{ 'org/app': { fleet: IMAGE, digest: 'sha256:0' } }, undefined],
			[{ 'org/app': { fleet: IMAGE, digest: null } }, undefined],
			[{ 'org/app': { fleet: [REPOSITORY] } }, undefined],
			[{ 'org/app': { fleet: ['v2/../x', '2.4.0'] } }, undefined],
			[{ 'org/app': { fleet: { fleet: IMAGE } } }, undefined],
			[{ 'org/app': { fleet: { code: 'UNKNOWN', message: 'none' } } }, undefined],
			// Only a fleet has other releases.
			[{ alpine: { fleet: IMAGE } }, undefined],
			[{ [REPOSITORY]: { fleet: IMAGE } }, undefined],
			[{ 'org/app': { code: 'NAME_UNKNOWN' } }, undefined],
			[{ 'org/app': { message: 'm' } }, undefined],
			[{ 'org/app': { code: 'NO_SUCH_CODE', message: 'm' } }, undefined],
			[{ 'org/app': { code: 'toString', message: 'm' } }, undefined],
			[{ 'org/app': { code: ['NAME_UNKNOWN'], message: 'm' } }, undefined],
			[{ 'org/app': { code: 'NAME_UNKNOWN', message: 'm'.repeat(501) } }, undefined],
			[{ 'org/app': { code: 'NAME_UNKNOWN', message: { toString: 'm' } } }, undefined],
			// Only what can go wrong with a name: a token must not make this proxy answer, or log, that something broke.
			[{ 'org/app': { code: 'UNKNOWN', message: 'm' } }, undefined],
			[{ 'org/app': { code: 'UNAVAILABLE', message: 'm' } }, undefined],
			[{ 'Org/App': IMAGE }, undefined],
			[{ '../app': IMAGE }, undefined],
			[{ '': IMAGE }, undefined],
			[{ 'org/app\r\nx-evil: 1': IMAGE }, undefined],
			// One bad entry, and none of the token is believed.
			[{ 'org/app': IMAGE, 'org/other': null }, undefined],
			[Object.fromEntries(Array.from({ length: MAX_GRANTS + 1 }, (_, i) => [`org/app${i}`, IMAGE])), undefined],
		],
		(names) => read(withNames(names)),
	);
	table<string>(
		[
			['{"n":{"__proto__":["v2/0123456789abcdef0123456789abcdef","1"]}}', undefined],
			['{"__proto__":{"n":{}}}', undefined],
			['{"n":{},"s":""}', undefined],
			['{"n":{},"s":"not base64!"}', undefined],
			['{"n":{},"s":1}', undefined],
			['{"n":{},"s":null}', undefined],
			['{"N":{}}', undefined],
			['{}', undefined],
			['[]', undefined],
			['null', undefined],
			['"n"', undefined],
			['{"n":{}', undefined],
			['', undefined],
		],
		(payload) => read(`a.b.c~${base64url(payload)}`),
	);
});
