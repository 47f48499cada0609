import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { overloadedError, RegistryError, STATUS_OF_CODE, upstreamError, type ErrorCode } from '../../src/errors.ts';
import { table } from '../support/table.ts';

describe('RegistryError: code, status and body', () => {
	// The distribution-spec's codes, with the statuses of distribution/distribution, and what can go wrong behind a registry.
	table<ErrorCode>(
		[
			['BLOB_UNKNOWN', 404],
			['DENIED', 403],
			['DIGEST_INVALID', 400],
			['MANIFEST_INVALID', 400],
			['MANIFEST_UNKNOWN', 404],
			['NAME_INVALID', 400],
			['NAME_UNKNOWN', 404],
			['PAGINATION_NUMBER_INVALID', 400],
			['TAG_INVALID', 400],
			['TOOMANYREQUESTS', 429],
			['UNAUTHORIZED', 401],
			['UNSUPPORTED', 405],
			['UNAVAILABLE', 503],
			['UNKNOWN', 500],
		],
		(code) => new RegistryError(code, 'm').statusCode,
	);
	test('those are all', () => assert.equal(Object.keys(STATUS_OF_CODE).length, 14));
	test('a status of its own', () => assert.equal(new RegistryError('UNSUPPORTED', 'm', { status: 404 }).statusCode, 404));
	test('body', () => assert.deepEqual(new RegistryError('DENIED', 'm').body, { errors: [{ code: 'DENIED', message: 'm' }] }));
	test('the cause is not in the body', () => {
		const error = new RegistryError('UNAVAILABLE', 'm', { cause: new Error('connect ECONNREFUSED 10.0.0.1:443') });
		assert.doesNotMatch(JSON.stringify(error.body), /10\.0\.0\.1/);
		assert.match(String(error.cause), /10\.0\.0\.1/);
	});
	test('no headers and not for people, unless said', () => {
		const { headers, forPeople } = new RegistryError('DENIED', 'm');
		assert.deepEqual({ headers, forPeople }, { headers: {}, forPeople: false });
	});
	test('headers and for people, where it is said', () => {
		const { headers, forPeople, name } = new RegistryError('DENIED', 'm', { headers: { a: 'b' }, forPeople: true });
		assert.deepEqual({ headers, forPeople, name }, { headers: { a: 'b' }, forPeople: true, name: 'RegistryError' });
	});
});

describe('upstreamError: 504 for time-outs, 502 for the rest, no address for either', () => {
	const coded = (code: string, cause?: unknown): Error => Object.assign(new Error('10.0.0.1:443', { cause }), { code });
	const nested = (depth: number): Error =>
		depth === 0 ? coded('UND_ERR_HEADERS_TIMEOUT') : new Error('outer', { cause: nested(depth - 1) });
	table<unknown>(
		[
			[coded('UND_ERR_CONNECT_TIMEOUT'), 504],
			[coded('UND_ERR_HEADERS_TIMEOUT'), 504],
			[coded('UND_ERR_BODY_TIMEOUT'), 504],
			[coded('ETIMEDOUT'), 504],
			[new DOMException('The operation was aborted due to timeout', 'TimeoutError'), 504],
			// fetch hides what happened in a cause.
			[new TypeError('fetch failed', { cause: coded('UND_ERR_CONNECT_TIMEOUT') }), 504],
			[nested(4), 504],
			[nested(5), 502],
			[coded('ECONNREFUSED'), 502],
			[coded('ECONNRESET'), 502],
			[coded('ENOTFOUND'), 502],
			[coded('DEPTH_ZERO_SELF_SIGNED_CERT'), 502],
			[coded('UND_ERR_SOCKET'), 502],
			[new DOMException('This operation was aborted', 'AbortError'), 502],
			[new SyntaxError('Unexpected token <'), 502],
			['ETIMEDOUT', 502],
			[undefined, 502],
			[null, 502],
		],
		(cause) => {
			const error = upstreamError('registry', cause);
			assert.equal(error.code, 'UNAVAILABLE');
			assert.equal(error.cause, cause);
			assert.doesNotMatch(JSON.stringify(error.body), /10\.0\.0\.1/);
			return error.statusCode;
		},
	);
	test('a cause that is its own cause ends', () => {
		const error = new Error('loop');
		error.cause = error;
		assert.equal(upstreamError('API', error).statusCode, 502);
	});
	test('says which upstream', () => {
		assert.equal(upstreamError('API', undefined).message, 'the balena API could not be reached; try again in a moment');
		assert.equal(
			upstreamError('registry', coded('ETIMEDOUT')).message,
			'the balena registry did not answer in time; try again in a moment',
		);
	});
});

describe('overloadedError', () => {
	table<number | undefined>(
		[
			[undefined, { status: 503, headers: { 'retry-after': '1' } }],
			[30, { status: 503, headers: { 'retry-after': '30' } }],
		],
		(seconds) => {
			const { statusCode, headers } = overloadedError('api', seconds);
			return { status: statusCode, headers };
		},
	);
});
