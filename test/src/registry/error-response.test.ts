import type { IncomingHttpHeaders } from 'node:http';
import { describe } from 'node:test';
import { RegistryError } from '../../../src/errors.ts';
import { errorResponse, upstreamStatusError } from '../../../src/registry/error-response.ts';
import { table } from '../../support/table.ts';

const SENTENCE = 'org/app has no release v2.4.3; its latest is 2.4.2';
const WARNING = { warning: `299 - "${SENTENCE}"` };

describe('errorResponse: how a sentence reaches the person', () => {
	const error = new RegistryError('NAME_UNKNOWN', SENTENCE, { forPeople: true });
	const asUnknown = { status: 404, reason: SENTENCE, headers: WARNING, body: { errors: [{ code: 'NAME_UNKNOWN', message: SENTENCE }] } };
	const asDenied = { status: 403, reason: SENTENCE, headers: WARNING, body: { errors: [{ code: 'DENIED', message: SENTENCE }] } };

	table<string | undefined>(
		[
			['docker/29.7.0 go/go1.25 os/linux arch/amd64', asUnknown],
			['skopeo/1.20.0', asUnknown],
			['Balena-Engine-Client/20.10 (linux)', asUnknown],
			[undefined, asUnknown],
			['', asUnknown],
			// These print "not found" for a 404 and nothing more.
			['containerd/2.1.4', asDenied],
			['containerd/v1.7.1', asDenied],
			['buildkit/v0.25', asDenied],
			['BuildKit/0.25', asDenied],
			['docker/29.7.0 containerd/2.1 BuildKit/0.25', asDenied],
			// "docker manifest" asks by itself; the engine only names who asked it.
			['Docker-Client/29.7.0 (linux)', asDenied],
			['docker/29.7.0 go/go1.25 os/linux arch/amd64 UpstreamClient(Docker-Client/29.7.0 \\(linux\\))', asUnknown],
		],
		(userAgent) => errorResponse(error, userAgent),
	);
});

describe('errorResponse: other errors', () => {
	table<[error: RegistryError, userAgent?: string]>(
		[
			// Not for people: as it is.
			[
				[new RegistryError('BLOB_UNKNOWN', 'no blob'), 'containerd/2.1'],
				{ status: 404, headers: {}, body: { errors: [{ code: 'BLOB_UNKNOWN', message: 'no blob' }] } },
			],
			[
				[new RegistryError('UNAUTHORIZED', 'm', { headers: { 'www-authenticate': 'Bearer realm="r"' } })],
				{ status: 401, headers: { 'www-authenticate': 'Bearer realm="r"' }, body: { errors: [{ code: 'UNAUTHORIZED', message: 'm' }] } },
			],
			// For people, but not hidden: the status stays.
			[
				[new RegistryError('NAME_INVALID', 'm', { forPeople: true }), 'containerd/2.1'],
				{ status: 400, reason: 'm', headers: { warning: '299 - "m"' }, body: { errors: [{ code: 'NAME_INVALID', message: 'm' }] } },
			],
			// Of a 5xx, some clients show the status line only.
			[
				[new RegistryError('UNAVAILABLE', 'the registry failed', { status: 502, headers: { 'retry-after': '5' } })],
				{
					status: 502,
					reason: 'the registry failed',
					headers: { 'retry-after': '5', warning: '299 - "the registry failed"' },
					body: { errors: [{ code: 'UNAVAILABLE', message: 'the registry failed' }] },
				},
			],
			// Headers of its own survive, also as another error.
			[
				[new RegistryError('NAME_UNKNOWN', 'm', { forPeople: true, headers: { 'retry-after': '5' } }), 'containerd/2.1'],
				{
					status: 403,
					reason: 'm',
					headers: { 'retry-after': '5', warning: '299 - "m"' },
					body: { errors: [{ code: 'DENIED', message: 'm' }] },
				},
			],
			// What no header can hold stays in the body.
			[
				[new RegistryError('NAME_UNKNOWN', 'fleet "Größe"\r\nx-evil: 1\\', { forPeople: true })],
				{
					status: 404,
					reason: 'fleet "Gr e" x-evil: 1\\',
					headers: { warning: "299 - \"fleet 'Gr e' x-evil: 1'\"" },
					body: { errors: [{ code: 'NAME_UNKNOWN', message: 'fleet "Größe" x-evil: 1\\' }] },
				},
			],
		],
		([error, userAgent]) => errorResponse(error, userAgent),
	);
});

/** An error in one line: status, code, message and headers. */
function show({ statusCode, code, message, headers }: RegistryError): string {
	return [`${statusCode} ${code}: ${message}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)].join('; ');
}

describe("upstreamStatusError: the registry's refusals, in this proxy's words", () => {
	table<[status: number, kind?: string, headers?: IncomingHttpHeaders]>(
		[
			[[403], '403 DENIED: the registry does not allow this access to org/app'],
			[[404, 'manifest'], '404 MANIFEST_UNKNOWN: org/app has no manifest X'],
			[[404, 'blob'], '404 BLOB_UNKNOWN: org/app has no blob X'],
			[[404, 'tags'], '404 NAME_UNKNOWN: the registry has nothing like this for org/app'],
			[[404, 'referrers'], '404 UNSUPPORTED: the registry has no list of referrers for org/app'],
			[
				[416, 'blob', { 'content-range': 'bytes */5' }],
				'416 UNSUPPORTED: X does not have the range that was asked for; content-range: bytes */5',
			],
			[[416, 'blob'], '416 UNSUPPORTED: X does not have the range that was asked for'],
			[[429], '429 TOOMANYREQUESTS: the registry answers that there are too many requests; try again later'],
			[
				[429, 'blob', { 'retry-after': '30' }],
				'429 TOOMANYREQUESTS: the registry answers that there are too many requests; try again later; retry-after: 30',
			],
			[
				[503, 'blob', { 'retry-after': '30' }],
				'503 UNAVAILABLE: the registry is not available at the moment; try again later; retry-after: 30',
			],
			[
				[503, 'blob', { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }],
				'503 UNAVAILABLE: the registry is not available at the moment; try again later; retry-after: 1',
			],
			[
				[503, 'blob', { 'retry-after': '5' }],
				'503 UNAVAILABLE: the registry is not available at the moment; try again later; retry-after: 5',
			],
			[[503, 'blob', { 'retry-after': '' }], '503 UNAVAILABLE: the registry is not available at the moment; try again later'],
			[[503, 'blob', { 'retry-after': '1234567' }], '503 UNAVAILABLE: the registry is not available at the moment; try again later'],
			[[500], '502 UNAVAILABLE: the registry failed to answer; try again later'],
			[[501], '502 UNAVAILABLE: the registry failed to answer; try again later'],
			[[502], '502 UNAVAILABLE: the registry failed to answer; try again later'],
			[[504], '502 UNAVAILABLE: the registry failed to answer; try again later'],
			[[400], '400 UNSUPPORTED: the registry refused the request (400)'],
			[[405], '405 UNSUPPORTED: the registry refused the request (405)'],
			[[499], '499 UNSUPPORTED: the registry refused the request (499)'],
			[[451], '451 UNSUPPORTED: the registry refused the request (451)'],
			// Only what is the client's business of the upstream's headers.
			[
				[429, 'blob', { 'retry-after': '30', location: 'http://10.0.0.1/', 'www-authenticate': 'x', 'content-range': 'x' }],
				'429 TOOMANYREQUESTS: the registry answers that there are too many requests; try again later; retry-after: 30',
			],
		],
		([status, kind = 'blob', headers = {}]) => show(upstreamStatusError(status, { kind, name: 'org/app', item: 'X' }, headers)),
	);
});
