import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import type { Proxy } from './proxy.ts';
import type { Answer } from './setup.ts';

/** Waits that no test outlasts: what ends within a test ended by the one setting that the test made short. */
export const LONG = {
	LOGIN_TIMEOUT: '600',
	API_TIMEOUT: '600',
	REGISTRY_CONNECT_TIMEOUT: '600',
	REGISTRY_HEADERS_TIMEOUT: '600',
	REGISTRY_BODY_TIMEOUT: '600',
};

/** What a client may be told of a failure behind the proxy. */
export interface Told {
	status: number;
	code: string;
	/** Part of the message. */
	words: RegExp;
	retryAfter?: string;
}

/**
 * Checks that an answer is the error that is expected, in the form of the OCI distribution-spec, and that it tells nothing of what is behind the proxy.
 *
 * @param proxy its log has to name the failure, and no secret
 * @param secrets what may be neither in the answer nor in the log
 */
export function assertTold(answer: Answer, told: Told, proxy: Proxy, secrets: readonly string[] = []): void {
	assert.equal(answer.status, told.status, answer.text);
	assert.equal(answer.headers['content-type'], 'application/json');
	assert.equal(answer.headers['retry-after'], told.retryAfter);
	const { errors } = JSON.parse(answer.text) as { errors: { code: string; message: string }[] };
	assert.equal(errors.length, 1);
	assert.equal(errors[0]!.code, told.code);
	assert.match(errors[0]!.message, told.words);
	assertDiscreet(answer, secrets);
	assertNoSecrets(proxy, secrets);
	if (told.status >= 500) {
		const entry = logged(proxy, (line) => line.level >= 50 && line.msg === errors[0]!.message);
		assert.ok(entry !== undefined, `no error line says "${errors[0]!.message}"`);
		assert.ok(
			logged(proxy, (line) => line.msg === 'request' && line.status === told.status && line.reqId === entry.reqId),
			'no line of the request',
		);
	}
}

/** No address, no host, no stack, no secret in what a client gets. */
export function assertDiscreet(answer: Answer, secrets: readonly string[] = []): void {
	const { 'www-authenticate': _challenge, ...headers } = answer.headers;
	const text = `${answer.reason} ${JSON.stringify(headers)} ${answer.text}`;
	assert.doesNotMatch(
		text,
		/\b\d{1,3}(\.\d{1,3}){3}\b|localhost|ECONN|ENOTFOUND|EAI_|UND_ERR|undici|node:|node_modules|\.ts:\d|\bat \S+:\d+:\d+|\n\s+at /,
	);
	assert.ok(!text.split(/[\s"'[\]()]+/).some((word) => isIP(word) !== 0), text);
	for (const secret of secrets) {
		assert.ok(!text.includes(secret), text);
	}
}

export function assertNoSecrets(proxy: Proxy, secrets: readonly string[]): void {
	const log = proxy.log.join('');
	for (const secret of secrets) {
		assert.ok(!log.includes(secret), `a secret in ${proxy.log.find((line) => line.includes(secret))}`);
	}
}

export interface Line {
	level: number;
	msg: string;
	reqId?: string;
	[name: string]: any;
}

/** @returns the first log line that a condition holds for */
export function logged(proxy: Proxy, condition: (line: Line) => boolean): Line | undefined {
	return proxy.log
		.flatMap((text) => text.split('\n'))
		.filter((text) => text !== '')
		.map((text) => JSON.parse(text) as Line)
		.find(condition);
}
