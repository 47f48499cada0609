import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'node:test';
import { ConfigError, parseConfig, type Config } from '../../src/config.ts';
import { CONSTANTS } from '../../src/constants.ts';
import { table } from '../support/table.ts';

type Env = Record<string, string | undefined>;

/** Some settings of the configuration, or the message of the error. */
function read(env: Env, ...names: (keyof Config)[]): unknown {
	try {
		const config = parseConfig(env);
		return names.map((name) => config[name]);
	} catch (error) {
		assert.ok(error instanceof ConfigError, String(error));
		return error.message;
	}
}

describe('parseConfig: nothing set', () => {
	test('reaches balenaCloud', () =>
		assert.deepEqual(read({}, 'API_URL', 'REGISTRY_URL'), ['https://api.balena-cloud.com', 'https://registry2.balena-cloud.com']));
	test('listens on port 80 of every address', () => assert.deepEqual(read({}, 'PROXY_PORT', 'PROXY_HOST'), [80, '::']));
	test('trusts no proxy', () => assert.deepEqual(read({}, 'TRUST_PROXY'), [false]));
	test('reads a tag that names a release, and ignores any other', () => assert.deepEqual(read({}, 'TAGS'), ['lenient']));
	test('has an older name for strict', () => assert.deepEqual(read({ TAGS: 'release' }, 'TAGS'), ['strict']));
	test('durations are milliseconds', () =>
		assert.deepEqual(read({}, 'RESOLUTION_TTL', 'SHUTDOWN_TIMEOUT', 'STALE_TTL'), [60_000, 30_000, 3_600_000]));
	test('other variables do not matter', () =>
		assert.deepEqual(parseConfig({ PATH: '/bin', HOME: '/', constructor: 'x', toString: 'x', hasOwnProperty: 'x' }), parseConfig({})));
	test('the constants are there, and no variable reaches them', () =>
		assert.deepEqual(
			[parseConfig({ API_TIMEOUT: '1', API_QUEUE: '2' })].map(({ API_TIMEOUT, API_QUEUE }) => [API_TIMEOUT, API_QUEUE]),
			[[CONSTANTS.API_TIMEOUT, CONSTANTS.API_QUEUE]],
		));
	test('what is empty or blank is not set', () =>
		assert.deepEqual(
			parseConfig({ PROXY_PORT: '', API_URL: ' ', TRUST_PROXY: '\t', TOKEN_SECRET: '\n', DNS_TLD: undefined }),
			parseConfig({}),
		));
});

describe('parseConfig: where the upstreams are', () => {
	table<Env>(
		[
			[{ DNS_TLD: 'example.com' }, ['https://api.example.com', 'https://registry2.example.com']],
			[{ DNS_TLD: 'example.com:8443' }, ['https://api.example.com:8443', 'https://registry2.example.com:8443']],
			[{ API_HOST: 'api.internal' }, ['https://api.internal', 'https://registry2.balena-cloud.com']],
			[{ REGISTRY2_HOST: 'registry.internal:5000' }, ['https://api.balena-cloud.com', 'https://registry.internal:5000']],
			[{ API_HOST: '10.0.0.1', REGISTRY2_HOST: '10.0.0.2' }, ['https://10.0.0.1', 'https://10.0.0.2']],
			[{ API_URL: 'http://api:8080', REGISTRY_URL: 'http://registry:5000' }, ['http://api:8080', 'http://registry:5000']],
			// The order of the proxy before this one: the URL, then the domain, then the host alone.
			[{ DNS_TLD: 'example.com', API_URL: 'http://api', REGISTRY_URL: 'http://registry' }, ['http://api', 'http://registry']],
			[{ DNS_TLD: 'example.com', REGISTRY2_HOST: 'registry.internal' }, ['https://api.example.com', 'https://registry2.example.com']],
			[{ DNS_TLD: 'example.com', API_HOST: 'api.internal' }, ['https://api.internal', 'https://registry2.example.com']],
			[{ API_HOST: 'api.internal', API_URL: 'http://api' }, ['http://api', 'https://registry2.balena-cloud.com']],
			[{ API_HOST: 'API.Internal:443', REGISTRY2_HOST: 'Registry.Internal' }, ['https://api.internal', 'https://registry.internal']],
			[{ DNS_TLD: 'Example.com:443' }, ['https://api.example.com', 'https://registry2.example.com']],
			[{ API_URL: 'https://API.example.com/' }, ['https://api.example.com', 'https://registry2.balena-cloud.com']],
			[{ API_URL: 'https://api.example.com:443' }, ['https://api.example.com', 'https://registry2.balena-cloud.com']],
			[{ API_URL: 'http://[::1]:8080' }, ['http://[::1]:8080', 'https://registry2.balena-cloud.com']],
		],
		(env) => read(env, 'API_URL', 'REGISTRY_URL'),
	);
});

const URL_WORDS = 'an http or https URL without a path, such as https://registry.example.com';
const HOST_WORDS = 'a host name, with a port if it needs one';

describe('parseConfig: what cannot be used stops the start with one line', () => {
	table<Env>(
		[
			[{ PROXY_PORT: '65536' }, 'PROXY_PORT is "65536", which cannot be used; accepted: a whole number from 0 to 65535'],
			[{ PROXY_PORT: '-1' }, 'PROXY_PORT is "-1", which cannot be used; accepted: a whole number from 0 to 65535'],
			[{ PROXY_PORT: '80.5' }, 'PROXY_PORT is "80.5", which cannot be used; accepted: a whole number from 0 to 65535'],
			[{ PROXY_PORT: '0x50' }, 'PROXY_PORT is "0x50", which cannot be used; accepted: a whole number from 0 to 65535'],
			[{ PROXY_PORT: ' 80' }, 'PROXY_PORT is " 80", which cannot be used; accepted: a whole number from 0 to 65535'],
			[
				{ PROXY_PORT: '80\nAPI_URL is fine' },
				'PROXY_PORT is "80\\nAPI_URL is fine", which cannot be used; accepted: a whole number from 0 to 65535',
			],
			[
				{ RATE_LIMIT_MAX: '9'.repeat(16) },
				`RATE_LIMIT_MAX is "${'9'.repeat(16)}", which cannot be used; accepted: a whole number from 0 to 1000000000`,
			],
			[{ REGISTRY_CONNECTIONS: '0' }, 'REGISTRY_CONNECTIONS is "0", which cannot be used; accepted: a whole number from 1 to 10000'],
			[{ RESOLUTION_TTL: '604801' }, 'RESOLUTION_TTL is "604801", which cannot be used; accepted: seconds, from 0 to 604800'],
			[{ RESOLUTION_TTL: '1m' }, 'RESOLUTION_TTL is "1m", which cannot be used; accepted: seconds, from 0 to 604800'],
			[{ RESOLUTION_TTL: '0.0001' }, 'RESOLUTION_TTL is "0.0001", which cannot be used; accepted: seconds, from 0 to 604800'],
			[{ LOG_LEVEL: 'INFO' }, 'LOG_LEVEL is "INFO", which cannot be used; accepted: one of fatal, error, warn, info, debug, trace, silent'],
			[{ TAGS: 'releases' }, 'TAGS is "releases", which cannot be used; accepted: one of lenient, strict, ignore'],
			[{ API_URL: 'api.example.com' }, `API_URL is "api.example.com", which cannot be used; accepted: ${URL_WORDS}`],
			[{ API_URL: 'ftp://api' }, `API_URL is "ftp://api", which cannot be used; accepted: ${URL_WORDS}`],
			[{ API_URL: 'https://api/v6' }, `API_URL is "https://api/v6", which cannot be used; accepted: ${URL_WORDS}`],
			[{ REGISTRY_URL: 'https://registry?x' }, `REGISTRY_URL is "https://registry?x", which cannot be used; accepted: ${URL_WORDS}`],
			[{ PUBLIC_URL: 'https://user:pass@bh.cr' }, `PUBLIC_URL is "https://user:pass@bh.cr", which cannot be used; accepted: ${URL_WORDS}`],
			[{ PUBLIC_URL: 'https://bh.cr/#x' }, `PUBLIC_URL is "https://bh.cr/#x", which cannot be used; accepted: ${URL_WORDS}`],
			[
				{ DNS_TLD: 'https://example.com' },
				'DNS_TLD is "https://example.com", which cannot be used; accepted: a domain name, such as example.com',
			],
			[{ DNS_TLD: '.example.com' }, 'DNS_TLD is ".example.com", which cannot be used; accepted: a domain name, such as example.com'],
			// "api.10.0.0.1" is no address, and no name either.
			[{ DNS_TLD: '10.0.0.1' }, 'DNS_TLD is "10.0.0.1", which cannot be used; accepted: a domain name, such as example.com'],
			[{ API_HOST: 'api/v6' }, `API_HOST is "api/v6", which cannot be used; accepted: ${HOST_WORDS}`],
			[{ API_HOST: 'api:99999' }, `API_HOST is "api:99999", which cannot be used; accepted: ${HOST_WORDS}`],
			[{ REGISTRY2_HOST: '10.0.0.256' }, `REGISTRY2_HOST is "10.0.0.256", which cannot be used; accepted: ${HOST_WORDS}`],
			[
				{ TLS_CERT: '/nowhere', TLS_KEY: '/nowhere' },
				'TLS_CERT is "/nowhere", which cannot be used; accepted: the path of a readable file',
			],
			[{ TLS_CERT: fileURLToPath(import.meta.url) }, 'TLS_CERT is set but TLS_KEY is not; accepted: both, or neither'],
			[{ TLS_KEY: fileURLToPath(import.meta.url) }, 'TLS_KEY is set but TLS_CERT is not; accepted: both, or neither'],
			// A secret is not shown, not even one that is too short.
			[
				{ TOKEN_SECRET: 'hunter2' },
				'TOKEN_SECRET is set to a value that cannot be used; accepted: at least 32 characters, hard to guess, such as the output of "openssl rand -base64 32"',
			],
		],
		(env) => read(env),
	);
});

describe('parseConfig: durations', () => {
	table<string>(
		[
			['0', [0]],
			['0.001', [1]],
			['0.5', [500]],
			['60', [60_000]],
			['604800', [604_800_000]],
			// Whole milliseconds, as timers want them, whatever binary fractions make of it.
			['1.001', [1001]],
			['8.2', [8200]],
			['16.1', [16_100]],
		],
		(text) => read({ RESOLUTION_TTL: text }, 'RESOLUTION_TTL'),
	);
});

describe('parseConfig: trusted proxies', () => {
	const refused = (value: string): string =>
		`TRUST_PROXY is "${value}", which cannot be used; accepted: true, false, or addresses and networks of the proxies in front, such as 10.0.0.0/8,loopback (a number of hops is not possible)`;
	table<string>(
		[
			['true', [true]],
			['false', [false]],
			['10.0.0.0/8', [['10.0.0.0/8']]],
			['10.0.0.1', [['10.0.0.1']]],
			['10.0.0.0/8, 192.168.0.0/16', [['10.0.0.0/8', '192.168.0.0/16']]],
			['loopback,linklocal,uniquelocal', [['loopback', 'linklocal', 'uniquelocal']]],
			['fd00::/8', [['fd00::/8']]],
			['::1', [['::1']]],
			['::ffff:10.0.0.1', [['::ffff:10.0.0.1']]],
			// A number of hops: Fastify would take it and trust nobody.
			['1', refused('1')],
			['2', refused('2')],
			['TRUE', refused('TRUE')],
			['yes', refused('yes')],
			['10.0.0.0/8,', refused('10.0.0.0/8,')],
			['10.0.0.0/33', refused('10.0.0.0/33')],
			['10.0.0.0/0', refused('10.0.0.0/0')],
			['fd00::/129', refused('fd00::/129')],
			['10.0.0', refused('10.0.0')],
			['10.0.0.256', refused('10.0.0.256')],
			['cafe', refused('cafe')],
			[':::', refused(':::')],
			['proxy.example.com', refused('proxy.example.com')],
			['fe80::1%eth0', refused('fe80::1%eth0')],
			['10.0.0.0/255.0.0.0', refused('10.0.0.0/255.0.0.0')],
		],
		(text) => read({ TRUST_PROXY: text }, 'TRUST_PROXY'),
	);
});
