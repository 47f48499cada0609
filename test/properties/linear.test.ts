import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { callerWithPassword, callerWithSecret, parseCaller } from '../../src/balena/caller.ts';
import { closestVersion } from '../../src/balena/explain.ts';
import { splitArchitecture } from '../../src/balena/architectures.ts';
import { parseReference } from '../../src/balena/reference.ts';
import { formsOf } from '../../src/balena/release-forms.ts';
import { clientKey } from '../../src/http/client-address.ts';
import { ConfigError, parseConfig } from '../../src/config.ts';
import { RegistryError } from '../../src/errors.ts';
import { formatChallenge, parseChallenge } from '../../src/registry/challenge.ts';
import { isDigest, isFallbackTag } from '../../src/registry/digest.ts';
import { errorResponse } from '../../src/registry/error-response.ts';
import { headerText } from '../../src/registry/headers.ts';
import { readRedirect } from '../../src/registry/redirect.ts';
import { digestsIn, isAcceptable, matchesEtag } from '../../src/registry/manifest.ts';
import { isName, isRepository } from '../../src/registry/name.ts';
import { publicOrigin } from '../../src/registry/origin.ts';
import { tagPage } from '../../src/registry/tag-page.ts';
import { signedUntil } from '../../src/registry/redirect.ts';
import { parseRegistryRequest } from '../../src/registry/request.ts';
import { parseScopes } from '../../src/registry/scope.ts';
import { sealingKey, unseal } from '../../src/token/seal.ts';
import { parseTokenForm, parseTokenQuery } from '../../src/token/token-request.ts';
import { parseToken, readJwt } from '../../src/token/client-token.ts';

/*
 * Work that grows with the square of an input's length takes minutes at these lengths, and work that grows with the length, a moment. The only bound on time
 * is one that tells minutes from moments; a whole sweep of a parser has to stay below it.
 */
const LENGTHS = [4, 16, 64, 256].map((kibibytes) => kibibytes * 1024);
const DEADLINE_MS = 120_000;

/** What is repeated: each character that a grammar cares for, and pairs over which a careless expression would try every split. */
const UNITS = [
	' ',
	'\t',
	',',
	'"',
	'\\',
	'\\"',
	'-',
	'_',
	'__',
	'.',
	'/',
	':',
	'=',
	'~',
	'%',
	'%41',
	'%zz',
	'&',
	';',
	'@',
	'+',
	'[',
	'a',
	'0',
	'A',
	'ä',
	'\ud800',
	'\0',
	'\n',
];
const PAIRS = [
	'a-',
	'a.',
	'a,',
	'a/',
	'a=',
	'a:',
	'a ',
	' a',
	'0.',
	'1.1',
	'::',
	', ',
	'="',
	'a="b",',
	'realm="',
	'bearer ',
	',bearer',
	'a&scope=',
	'scope=a:b:c&',
	'a:b:c ',
	'{"',
	'[[',
	'v2/',
];
const ENDS = ['', '!', '\n'];

const KEY = sealingKey('a secret of at least thirty-two characters');
const base64url = (text: string): string => Buffer.from(text).toString('base64url');
const pages = { n: 10, last: undefined };

/** Every function that reads a text from outside, with beginnings that lead deep into it. */
const PARSERS: [name: string, parse: (text: string) => unknown, beginnings?: string[]][] = [
	[
		'parseRegistryRequest',
		parseRegistryRequest,
		['/v2/', '/v2/org/app/manifests/', '/v2/org/app/tags/list?n=1&last=', '/v2/org/app/referrers/sha256:'],
	],
	['parseReference', parseReference, ['org/', 'v2/']],
	['formsOf', formsOf, ['v', '2.', '2.4.0-', '2.4.0-rc.']],
	['splitArchitecture', splitArchitecture, ['display-', 'x86_']],
	['isName', isName, ['a/']],
	['isRepository', isRepository, ['v2/']],
	['isDigest', isDigest, ['sha256:']],
	['isFallbackTag', isFallbackTag, ['sha512-']],
	['parseScopes', (text) => parseScopes([text, text]), ['repository:', 'repository:a:', 'repository(']],
	['parseChallenge', parseChallenge, ['Bearer ', 'Basic realm="', 'Bearer realm="']],
	['formatChallenge', (text) => formatChallenge({ realm: text, service: text, scope: text }), []],
	['parseToken', parseToken, ['a.', 'a.b.c~']],
	['parseToken, of JSON', (text) => parseToken(`a.b.c~${base64url(`{"n":{"${text}`)}`), []],
	['parseToken, of names', (text) => parseToken(`a.b.c~${base64url(JSON.stringify({ n: { [text]: [text, text] } }))}`), []],
	['readJwt', readJwt, ['a.', 'a.b.']],
	['unseal', (text) => unseal(text, KEY), []],
	['parseCaller', parseCaller, ['Basic ', 'Bearer ']],
	['callerWithPassword', (text) => callerWithPassword(text, text), []],
	['callerWithSecret', callerWithSecret, []],
	['parseTokenQuery', (text) => parseTokenQuery(new URLSearchParams(text), text), ['scope=', 'scope=repository:']],
	[
		'parseTokenForm',
		(text) => parseTokenForm(new URLSearchParams(text), undefined),
		['grant_type=password&password=', 'grant_type=refresh_token&refresh_token='],
	],
	['publicOrigin', (text) => publicOrigin(undefined, 'https', text), ['a', '[', 'a:']],
	['readRedirect', (text) => readRedirect(text, 'https://registry', '/v2/x'), ['https://registry/', '//', 'https://']],
	['signedUntil', signedUntil, ['https://s3/?', 'https://s3/?X-Amz-Date=', 'https://s3/?se=']],
	['headerText', headerText, []],
	['errorResponse', (text) => errorResponse(new RegistryError('DENIED', text, { forPeople: true }), text), []],
	['tagPage', (text) => tagPage(text.split(/[,. ]/), pages, '/'), []],
	['isAcceptable', (text) => isAcceptable(text, 'a/b'), []],
	['matchesEtag', (text) => matchesEtag(text, 'sha256:0'), ['"']],
	['digestsIn', (text) => digestsIn({ bytes: Buffer.from(text), digest: '' }), ['{"layers":[', '[', '{"config":"']],
	['closestVersion', (text) => closestVersion(text, text.split(',').slice(0, 100)), ['v', '1.']],
	['clientKey', clientKey, ['::ffff:', '1::']],
	...['TRUST_PROXY', 'API_URL', 'API_HOST', 'RESOLUTION_TTL'].map((setting): [string, (text: string) => unknown, string[]] => [
		`parseConfig, of ${setting}`,
		(text) => parseConfig({ [setting]: text }),
		['10.0.0.1,', 'https://', 'a'],
	]),
];

function sweep(parse: (text: string) => unknown, beginnings: string[]): void {
	for (const length of LENGTHS) {
		for (const unit of [...UNITS, ...PAIRS]) {
			for (const beginning of ['', ...beginnings]) {
				for (const end of ENDS) {
					const text = beginning + unit.repeat(length / unit.length) + end;
					try {
						parse(text);
					} catch (error) {
						assert.ok(
							error instanceof RegistryError || error instanceof ConfigError,
							`threw ${String(error)} at ${length} times ${JSON.stringify(unit)}`,
						);
					}
				}
			}
		}
	}
}

describe('no input makes much work for its length', () => {
	for (const [name, parse, beginnings = []] of PARSERS) {
		// A time-out of node:test could not interrupt a loop.
		test(name, () => runInNewContext('run()', { run: () => sweep(parse, beginnings) }, { timeout: DEADLINE_MS }));
	}
});
