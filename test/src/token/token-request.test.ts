import type { IncomingHttpHeaders } from 'node:http';
import { describe } from 'node:test';
import type { Caller } from '../../../src/balena/caller.ts';
import { checkForm, parseTokenForm, parseTokenQuery, type TokenRequest } from '../../../src/token/token-request.ts';
import { formatScope } from '../../../src/registry/scope.ts';
import { outcome, table } from '../../support/table.ts';

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

function show({ caller, scopes }: TokenRequest): { caller: string; scopes: string[] } {
	return { caller: showCaller(caller), scopes: scopes.map(formatScope) };
}

function showCaller(caller: Caller): string {
	if (caller.kind === 'anonymous') {
		return 'anonymous';
	}
	const [scheme = '', value = ''] = caller.authorization.split(' ');
	const user = scheme === 'Basic' ? Buffer.from(value, 'base64').toString().split(':', 1)[0] : '';
	return `${user}/${caller.secret}`;
}

describe('parseTokenQuery: the GET form', () => {
	table<[query: string, authorization?: string]>(
		[
			[[''], { caller: 'anonymous', scopes: [] }],
			// Docker classic.
			[['scope=repository%3Aorg%2Fapp%3Apull&service=p'], { caller: 'anonymous', scopes: ['repository:org/app:pull'] }],
			[
				['account=u&scope=repository%3Aorg%2Fapp%3Apull&service=p', basic('u:key')],
				{ caller: 'u/key', scopes: ['repository:org/app:pull'] },
			],
			// docker login.
			[['account=u&client_id=docker&offline_token=true&service=p', basic('u:key')], { caller: 'u/key', scopes: [] }],
			// containerd: repeated. BuildKit and others: a list.
			[
				['scope=repository:a/a:pull&scope=repository:b/b:pull'],
				{ caller: 'anonymous', scopes: ['repository:a/a:pull', 'repository:b/b:pull'] },
			],
			[['scope=repository:a/a:pull+repository:b/b:pull'], { caller: 'anonymous', scopes: ['repository:a/a:pull', 'repository:b/b:pull'] }],
			[
				['scope=repository:a/a:pull%20repository:b/b:pull'],
				{ caller: 'anonymous', scopes: ['repository:a/a:pull', 'repository:b/b:pull'] },
			],
			[['scope=repository:Org/App:pull'], { caller: 'anonymous', scopes: [] }],
			[['SCOPE=repository:a/a:pull&scope[]=repository:a/a:pull'], { caller: 'anonymous', scopes: [] }],
			[['scope=%'], { caller: 'anonymous', scopes: [] }],
			// The conformance suite sends Basic with two empty parts.
			[['', basic(':')], { caller: 'anonymous', scopes: [] }],
			[['', 'Bearer key'], { caller: '/key', scopes: [] }],
			[['', basic('u:')], '401 UNAUTHORIZED'],
			[['', basic('u')], '401 UNAUTHORIZED'],
			[['', 'Basic'], '401 UNAUTHORIZED'],
			[['', ''], '401 UNAUTHORIZED'],
			[['', 'Digest x'], '401 UNAUTHORIZED'],
			// Credentials in a URL are not read: they would end up in logs on the way.
			[['username=u&password=key&grant_type=password'], { caller: 'anonymous', scopes: [] }],
		],
		([query, authorization]) => outcome(() => show(parseTokenQuery(new URLSearchParams(query), authorization))),
	);
});

describe('parseTokenForm: the POST form', () => {
	table<[form: string, authorization?: string]>(
		[
			// containerd, with credentials.
			[
				['grant_type=password&client_id=containerd-client&service=p&scope=repository:a/a:pull+repository:b/b:pull&username=u&password=key'],
				{ caller: 'u/key', scopes: ['repository:a/a:pull', 'repository:b/b:pull'] },
			],
			[['grant_type=password&username=u&password=a%3Ab%26c'], { caller: 'u/a:b&c', scopes: [] }],
			[['grant_type=password&username=&password=key'], { caller: '/key', scopes: [] }],
			[['grant_type=password&username=&password='], { caller: 'anonymous', scopes: [] }],
			[['grant_type=password'], { caller: 'anonymous', scopes: [] }],
			[['grant_type=password&username=u&password='], '401 UNAUTHORIZED'],
			[['grant_type=password&username=u&password=a%0d%0ab'], '401 UNAUTHORIZED'],
			[['grant_type=password&username=u&password=k%C3%A9y'], '401 UNAUTHORIZED'],
			[['grant_type=password&username=u%3Ax&password=key'], '401 UNAUTHORIZED'],
			[[`grant_type=password&username=u&password=${'k'.repeat(60_000)}`], '401 UNAUTHORIZED'],
			[[`grant_type=password&username=${'u'.repeat(60_000)}&password=k`], '401 UNAUTHORIZED'],
			// An identity token, which can only be an API key here.
			[['grant_type=refresh_token&refresh_token=key&scope=repository:a/a:pull'], { caller: '/key', scopes: ['repository:a/a:pull'] }],
			[['grant_type=refresh_token'], '401 UNAUTHORIZED'],
			[['grant_type=refresh_token&refresh_token='], '401 UNAUTHORIZED'],
			[['grant_type=refresh_token&refresh_token=a%20b'], '401 UNAUTHORIZED'],
			[[`grant_type=refresh_token&refresh_token=${'k'.repeat(60_000)}`], '401 UNAUTHORIZED'],
			// Without a grant type, the header counts.
			[['scope=repository:a/a:pull'], { caller: 'anonymous', scopes: ['repository:a/a:pull'] }],
			[['scope=repository:a/a:pull', basic('u:key')], { caller: 'u/key', scopes: ['repository:a/a:pull'] }],
			[['', 'Basic'], '401 UNAUTHORIZED'],
			// A login that is not complete is nobody's.
			[['username=u&password=key'], '400 UNSUPPORTED'],
			[['refresh_token=key', basic('u:key')], '400 UNSUPPORTED'],
			[['grant_type=password&username=u&password=key&password=other'], '400 UNSUPPORTED'],
			[['grant_type=password&grant_type=refresh_token&username=u&password=key'], '400 UNSUPPORTED'],
			// 400, upon which containerd tries GET.
			[['grant_type='], '400 UNSUPPORTED'],
			[['grant_type=client_credentials'], '400 UNSUPPORTED'],
			[['grant_type=__proto__'], '400 UNSUPPORTED'],
			[['grant_type=Password&username=u&password=key'], '400 UNSUPPORTED'],
		],
		([form, authorization]) => outcome(() => show(parseTokenForm(new URLSearchParams(form), authorization))),
	);
});

describe('checkForm: what a body has to be', () => {
	const FORM = 'application/x-www-form-urlencoded';
	table<IncomingHttpHeaders>(
		[
			[{ 'content-type': FORM, 'content-length': '9' }, undefined],
			[{ 'content-type': FORM, 'transfer-encoding': 'chunked' }, undefined],
			[{ 'content-type': `${FORM};charset=UTF-8`, 'content-length': '9' }, undefined],
			[{ 'content-type': `Application/X-WWW-Form-URLencoded ; charset="utf-8"`, 'content-length': '9' }, undefined],
			[{ 'content-type': FORM, 'content-length': '9', 'content-encoding': 'identity' }, undefined],
			// Nothing is there that could be read wrongly.
			[{ 'content-length': '0' }, undefined],
			[{}, undefined],
			[{ 'content-type': 'application/json', 'content-length': '0' }, undefined],
			[{ 'content-type': 'application/json', 'content-length': '9' }, '415 UNSUPPORTED'],
			[{ 'content-type': 'application/json', 'transfer-encoding': 'chunked' }, '415 UNSUPPORTED'],
			[{ 'content-type': 'multipart/form-data; boundary=x', 'content-length': '9' }, '415 UNSUPPORTED'],
			[{ 'content-type': 'text/plain', 'content-length': '9' }, '415 UNSUPPORTED'],
			[{ 'content-type': `${FORM}x`, 'content-length': '9' }, '415 UNSUPPORTED'],
			[{ 'content-length': '9' }, '415 UNSUPPORTED'],
			[{ 'content-type': `${FORM}; charset=utf-16`, 'content-length': '9' }, '415 UNSUPPORTED'],
			[{ 'content-type': FORM, 'content-length': '9', 'content-encoding': 'gzip' }, '415 UNSUPPORTED'],
			[{ 'content-type': FORM, 'content-length': '9', 'content-encoding': 'identity, br' }, '415 UNSUPPORTED'],
		],
		(headers) => outcome(() => checkForm(headers)),
	);
});
