import { describe } from 'node:test';
import { formatChallenge, parseChallenge } from '../../../src/registry/challenge.ts';
import { table } from '../../support/table.ts';

const BALENA = { realm: 'https://api.balena-cloud.com/auth/v1/token', service: 'registry2.balena-cloud.com' };

describe('parseChallenge: the first Bearer challenge with a realm', () => {
	table<string | string[] | undefined>(
		[
			[undefined, undefined],
			['', undefined],
			[[], undefined],
			// The answers of distribution to /v2/, to a manifest, to a token without the grant, and to one that is not valid.
			['Bearer realm="https://api.balena-cloud.com/auth/v1/token",service="registry2.balena-cloud.com"', BALENA],
			[
				'Bearer realm="https://api.balena-cloud.com/auth/v1/token",service="registry2.balena-cloud.com",scope="repository:v2/0123:pull"',
				{ ...BALENA, scope: 'repository:v2/0123:pull' },
			],
			[
				'Bearer realm="https://api.balena-cloud.com/auth/v1/token",service="registry2.balena-cloud.com",scope="repository:v2/0123:pull",error="insufficient_scope"',
				{ ...BALENA, scope: 'repository:v2/0123:pull', error: 'insufficient_scope' },
			],
			[
				'Bearer realm="https://api.balena-cloud.com/auth/v1/token",service="registry2.balena-cloud.com",error="invalid_token",error_description="it has expired"',
				{ ...BALENA, error: 'invalid_token', errorDescription: 'it has expired' },
			],
			// The forms that RFC 9110 allows.
			['bearer REALM=r,Service=s', { realm: 'r', service: 's' }],
			['Bearer realm=https://p/token,service=a.b', { realm: 'https://p/token', service: 'a.b' }],
			['Bearer realm = "r" , service\t=\t"s"', { realm: 'r', service: 's' }],
			['Bearer realm="r" service="s"', { realm: 'r', service: 's' }],
			['Bearer   ,, realm="r",,service="s",', { realm: 'r', service: 's' }],
			['Bearer realm="a\\"b\\\\c",service="s, t=u"', { realm: 'a"b\\c', service: 's, t=u' }],
			['Bearer realm="",service=""', { realm: '', service: '' }],
			['Bearer realm="r"', { realm: 'r', service: '' }],
			[
				'Bearer realm="r",service="s",scope="repository:a:pull repository:b:pull"',
				{ realm: 'r', service: 's', scope: 'repository:a:pull repository:b:pull' },
			],
			// Of a repeated parameter, the first counts.
			['Bearer realm="r",realm="q",service="s"', { realm: 'r', service: 's' }],
			// Among other challenges, in one line or several.
			['Basic realm="b", Bearer realm="r",service="s"', { realm: 'r', service: 's' }],
			['Bearer realm="r",service="s", Basic realm="b"', { realm: 'r', service: 's' }],
			['Bearer service="s", Basic realm="b"', undefined],
			[['Basic realm="b"', 'Bearer realm="r",service="s"'], { realm: 'r', service: 's' }],
			[['Bearer service="s"', 'Bearer realm="r"'], { realm: 'r', service: '' }],
			// Parameters that nobody knows.
			['Bearer x="y",realm="r",__proto__="p",constructor="c",service="s"', { realm: 'r', service: 's' }],
			// No challenge, or none that says where to go.
			['Basic realm="b"', undefined],
			['Bearer', undefined],
			['Bearer ', undefined],
			['Bearer service="s"', undefined],
			['Bearer realm', undefined],
			['Bearer realm=', undefined],
			['XBearer realm="r"', undefined],
			['Bearerrealm="r"', undefined],
			// What does not end is not read.
			['Bearer service="s",realm="unclosed', undefined],
			['Bearer realm="r",service="unclosed', { realm: 'r', service: '' }],
			[`Bearer service="${'s'.repeat(9000)}",realm="r"`, undefined],
		],
		parseChallenge,
	);
});

describe('formatChallenge: quoted values, in the order that all clients read', () => {
	table(
		[
			[{ realm: 'https://p/auth/v1/token', service: 's' }, 'Bearer realm="https://p/auth/v1/token",service="s"'],
			[{ realm: 'r', service: 's', scope: 'repository:org/app:pull' }, 'Bearer realm="r",service="s",scope="repository:org/app:pull"'],
			[
				{ errorDescription: 'd', error: 'invalid_token', scope: 'c', service: 's', realm: 'r' },
				'Bearer realm="r",service="s",scope="c",error="invalid_token",error_description="d"',
			],
			// Without a token there is no error: containerd would take it for a stale one.
			[{ realm: 'r', service: 's', scope: undefined, error: undefined }, 'Bearer realm="r",service="s"'],
			[{ realm: 'r', service: '' }, 'Bearer realm="r",service=""'],
			[{ realm: 'a"b\\c', service: 's' }, 'Bearer realm="a\\"b\\\\c",service="s"'],
			[{ realm: 'r\r\nx-evil: 1', service: 's\0ä\x7f' }, 'Bearer realm="r??x-evil: 1",service="s???"'],
		],
		formatChallenge,
	);
});
