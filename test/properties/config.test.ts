import fc from 'fast-check';
import Fastify from 'fastify';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { ConfigError, parseConfig, type Config } from '../../src/config.ts';
import { describeConfig } from '../../src/process/describe-config.ts';
import { anyText, nearly } from './arbitraries.ts';
import { check } from './check.ts';

/** Any value, and for each kind of setting those that nearly fit. */
const NAMES = [
	'PROXY_PORT',
	'PROXY_HOST',
	'DNS_TLD',
	'REGISTRY2_HOST',
	'REGISTRY_URL',
	'API_HOST',
	'API_URL',
	'PUBLIC_URL',
	'TRUST_PROXY',
	'LOG_LEVEL',
	'TAGS',
	'TOKEN_SECRET',
	'RATE_LIMIT_MAX',
	'RATE_LIMIT_ALLOW',
	'REDIS_URL',
	'RESOLUTION_TTL',
	'SHUTDOWN_TIMEOUT',
	'REDIRECT_TTL',
	'REGISTRY_CONNECTIONS',
	'__proto__',
	'constructor',
	'toString',
];
const number = fc.oneof(
	fc.nat(100_000).map(String),
	fc.double({ min: 0, max: 700_000, noNaN: true }).map((n) => n.toFixed(3)),
	fc.double().map(String),
);
const host = fc
	.tuple(
		fc.oneof(fc.domain(), fc.ipV4(), fc.constantFrom('API.Example.com', 'xn--a', 'a..b', '1.2.3', '0x7f.1')),
		fc.constantFrom('', ':80', ':443', ':8443', ':99999'),
	)
	.map((parts) => parts.join(''));
const network = fc
	.tuple(
		fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('loopback', 'linklocal', 'cafe')),
		fc.oneof(
			fc.constant(''),
			fc.nat(140).map((bits) => `/${bits}`),
		),
	)
	.map((parts) => parts.join(''));
const value = fc.oneof(
	nearly(number),
	nearly(host),
	nearly(host.map((text) => `https://${text}`)),
	nearly(fc.array(network, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(','))),
	fc.constantFrom('true', 'false', '', ' '),
	anyText,
);
const env = fc.dictionary(fc.constantFrom(...NAMES), value, { maxKeys: 5 });

/** The configuration, or undefined after an error that is as it should be. */
function read(given: Record<string, string>): Config | undefined {
	try {
		return parseConfig(given);
	} catch (error) {
		assert.ok(error instanceof ConfigError, `threw ${String(error)}`);
		assert.doesNotMatch(error.message, /[\x00-\x1f]/);
		const [setting = ''] = error.message.split(' ', 1);
		assert.ok(NAMES.includes(setting));
		if (setting === 'TOKEN_SECRET' || setting === 'REDIS_URL') {
			assert.match(error.message, /^[A-Z_]+ is set to a value that cannot be used/);
		}
		return undefined;
	}
}

describe('parseConfig', () => {
	check(
		'gives settings that work, or one line',
		fc.property(env, (given) => {
			const config = read(given);
			if (config === undefined) {
				return;
			}
			for (const url of [config.API_URL, config.REGISTRY_URL, config.PUBLIC_URL ?? 'https://x']) {
				assert.equal(new URL(url).origin, url);
			}
			for (const [name, setting] of Object.entries(config)) {
				assert.ok(typeof setting !== 'number' || (Number.isSafeInteger(setting) && setting >= 0), `${name} is ${String(setting)}`);
			}
			assert.deepEqual(
				Object.keys(config).filter((name) => !/^[A-Z0-9_]+$/.test(name)),
				[],
			);
		}),
	);
	check(
		'takes only proxies that Fastify takes',
		fc.property(nearly(fc.array(network, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(','))), (text) => {
			const config = read({ TRUST_PROXY: text });
			if (config !== undefined) {
				Fastify({ trustProxy: config.TRUST_PROXY });
			}
		}),
		0.2,
	);
	check(
		'shows no secret, neither when it is read nor when it is not',
		fc.property(fc.string({ unit: 'grapheme-ascii', minLength: 8, maxLength: 60 }), fc.constantFrom('', 'redis://'), (secret, scheme) => {
			fc.pre(!/^[\s0-9a-f:./-]*$/i.test(secret) && secret.trim().length >= 8);
			try {
				const lines = describeConfig(parseConfig({ TOKEN_SECRET: secret, REDIS_URL: scheme + secret })).join('\n');
				assert.ok(!lines.includes(secret));
			} catch (error) {
				assert.ok(error instanceof ConfigError);
				assert.ok(!error.message.includes(secret));
			}
		}),
	);
});
