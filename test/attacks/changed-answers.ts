import fc from 'fast-check';

/* Ways in which the bytes of an answer of HTTP can be other than they should be. */

/** What is changed of an answer; all of them in a row. */
export type Change = (answer: Buffer) => Buffer;

/** A place in an answer: of the head, where the syntax is, more often than of the body. */
const place = fc.record({ inHead: fc.boolean(), at: fc.double({ min: 0, max: 1, noNaN: true }) });
type Place = typeof place extends fc.Arbitrary<infer P> ? P : never;

function endOfHead(answer: Buffer): number {
	const at = answer.indexOf('\r\n\r\n');
	return at < 0 ? answer.length : at + 4;
}
const offset = (answer: Buffer, { inHead, at }: Place): number => Math.floor(at * (inHead ? endOfHead(answer) : answer.length));
const spliced = (answer: Buffer, at: number, length: number, bytes: Uint8Array | string): Buffer =>
	Buffer.concat([answer.subarray(0, at), Buffer.from(bytes as string), answer.subarray(at + length)]);
const withHead = (answer: Buffer, head: string): Buffer => Buffer.concat([Buffer.from(head, 'latin1'), answer.subarray(endOfHead(answer))]);
const headOf = (answer: Buffer): string => answer.toString('latin1', 0, endOfHead(answer));

const STATUS_LINES = [
	...[0, 1, 99, 100, 101, 102, 103, 199, 200, 201, 204, 205, 206, 226, 299, 300, 301, 302, 303, 304, 307, 308, 399],
	...[400, 401, 403, 404, 405, 407, 408, 416, 418, 429, 451, 499, 500, 501, 502, 503, 504, 511, 599, 600, 666, 999, 1000, -1],
].map((status) => `HTTP/1.1 ${status} X`);
const ODD_LINES = [
	'HTTP/1.0 200 OK',
	'HTTP/2 200',
	'HTTP/1.1 200',
	'HTTP/1.1  200 OK',
	'ICY 200 OK',
	'HTTP/1.1 2x0 OK',
	'GET / HTTP/1.1',
	'',
];
const FIELDS = [
	...['0', '1', '-1', '+2', '99999999999999999999', '2, 2', '0x10', ''].map((length) => `Content-Length: ${length}`),
	...['chunked', 'identity', 'gzip, chunked', 'chunked, chunked', 'xchunked'].map((coding) => `Transfer-Encoding: ${coding}`),
	...['gzip', 'br', 'identity', 'x, y'].map((coding) => `Content-Encoding: ${coding}`),
	...[
		'',
		'/',
		'//',
		'//[',
		'http://',
		'http://127.0.0.1:1/x',
		'http://[::1',
		'\\\\x',
		'data:,x',
		'/v2/../..',
		'https://a/\x01',
		'https://\xe9/',
	].map((location) => `Location: ${location}`),
	...['Bearer', 'Bearer realm=', 'Bearer realm="x",error="\xff"', `Bearer ${'a="b",'.repeat(500)}`, 'Basic', ''].map(
		(challenge) => `WWW-Authenticate: ${challenge}`,
	),
	...['', 'close', 'keep-alive', 'content-length, content-type, location', 'upgrade', '__proto__, constructor'].map(
		(connection) => `Connection: ${connection}`,
	),
	...['sha256:', 'sha256:0', `sha256:${'0'.repeat(64)}`, `sha512:${'0'.repeat(128)}`, '\xe2\x82\xac', 'a'.repeat(5000)].map(
		(digest) => `Docker-Content-Digest: ${digest}`,
	),
	...['', '-1', '1e9', '999999999999', 'Thu, 01 Jan 1970 00:00:00 GMT', 'Thu, 99 Jan'].map((after) => `Retry-After: ${after}`),
	...['</x>; rel="next"', '<', '</v2/x/tags/list?last=x&n=1>; rel=next', '<//evil/x>; rel="next"'].map((link) => `Link: ${link}`),
	...['bytes 0-1/2', 'bytes */0', 'bytes 5-1/2', 'x'].map((range) => `Content-Range: ${range}`),
	...['text/html', '\xe2\x82\xac/x', '', 'application/json; charset=\xff', 'a'.repeat(9000)].map((type) => `Content-Type: ${type}`),
	...['"\xe2\x82\xac"', 'W/"x"', ''].map((tag) => `ETag: ${tag}`),
	'Warning: 299 - "\xe2\x82\xac\x07"',
	'Vary: *',
	'Set-Cookie: a=b',
	'__proto__: x',
	'constructor: x',
	'Upgrade: h2c',
	'Trailer: x',
	`X: ${'a'.repeat(20_000)}`,
	': x',
	'no colon',
	' folded',
	'X : y',
];
const BODIES = [
	...['null', '[]', '{}', '""', '0', '1e999', '{"d":null}', '{"d":{}}', '{"d":[null]}', '{"d":[[]]}', '{"d":[{"id":{}}]}', '{"d":"x"}'],
	...[
		'{"token":null}',
		'{"token":1}',
		'{"token":"a"}',
		'{"token":"a.b.c"}',
		'{"token":"e30.e30.x"}',
		'{"token":{"x":1}}',
		'{"__proto__":{"x":1}}',
	],
	...[
		'{"tags":null}',
		'{"tags":[null]}',
		'{"tags":{}}',
		'{"tags":"x"}',
		'{"schemaVersion":2,"layers":{}}',
		'{"manifests":[null,1,{"digest":{}}]}',
	],
	...[
		'',
		'<html>',
		'\u0000',
		'\ufeff{}',
		'['.repeat(20_000),
		`{"a":${'['.repeat(5000)}`,
		'{"errors":[{"code":1,"message":{}}]}',
		'\xff\xfe',
	],
];
const PIECES = [
	'\r\n',
	'\n',
	'\r',
	'\0',
	':',
	' ',
	'\t',
	'HTTP/1.1 200 OK\r\n\r\n',
	'\r\n\r\n',
	'0\r\n\r\n',
	'\xff',
	'"',
	'{',
	',',
	'%',
	'\\',
];
const SIZES = ['0', '1', 'FFFFFFFFFFFFFFFF', '10000000000000000', '-1', '', 'x', '2;ext=1', ' 2', '0x2', '00000000000000000002'];

/** One change, of any kind. */
export const change: fc.Arbitrary<Change> = fc.oneof(
	place.map(
		(at): Change =>
			(answer) =>
				answer.subarray(0, offset(answer, at)),
	),
	fc.tuple(place, fc.integer({ min: 1, max: 255 })).map(([at, mask]): Change => (answer) => {
		const i = offset(answer, at);
		return i < answer.length ? spliced(answer, i, 1, Uint8Array.of(answer[i]! ^ mask)) : answer;
	}),
	fc.tuple(place, fc.oneof(fc.constantFrom(...PIECES), fc.uint8Array({ minLength: 1, maxLength: 20 }))).map(
		([at, bytes]): Change =>
			(answer) =>
				spliced(answer, offset(answer, at), 0, bytes),
	),
	fc.tuple(place, fc.nat({ max: 50 })).map(
		([at, length]): Change =>
			(answer) =>
				spliced(answer, offset(answer, at), length, ''),
	),
	fc.constantFrom(...STATUS_LINES, ...ODD_LINES).map(
		(line): Change =>
			(answer) =>
				withHead(
					answer,
					headOf(answer).replace(/^[^\r\n]*/, () => line),
				),
	),
	fc.array(fc.integer({ min: 100, max: 199 }), { minLength: 1, maxLength: 30 }).map(
		(all): Change =>
			(answer) =>
				Buffer.concat([...all.map((status) => Buffer.from(`HTTP/1.1 ${status} X\r\nLink: </x>\r\n\r\n`)), answer]),
	),
	fc.array(fc.constantFrom(...FIELDS), { minLength: 1, maxLength: 4 }).map(
		(fields): Change =>
			(answer) =>
				withHead(
					answer,
					headOf(answer).replace('\r\n', () => `\r\n${fields.map((field) => `${field}\r\n`).join('')}`),
				),
	),
	// In place of the field of that name.
	fc.constantFrom(...FIELDS).map((field): Change => (answer) => {
		const name = field.split(':', 1)[0]!.toLowerCase();
		const lines = headOf(answer)
			.split('\r\n')
			.filter((line) => !line.toLowerCase().startsWith(`${name}:`));
		return withHead(answer, [lines[0], field, ...lines.slice(1)].join('\r\n'));
	}),
	fc.oneof(fc.constantFrom(...BODIES), fc.json()).map((body): Change => (answer) => {
		const bytes = Buffer.from(body);
		return Buffer.concat([
			Buffer.from(headOf(answer).replace(/content-length: *\d+/i, `Content-Length: ${bytes.length}`), 'latin1'),
			bytes,
		]);
	}),
	fc.array(fc.tuple(fc.constantFrom(...SIZES), fc.string({ maxLength: 4 })), { maxLength: 5 }).map(
		(chunks): Change =>
			(answer) =>
				Buffer.concat([
					Buffer.from(headOf(answer).replace(/content-length: *\d+/i, 'Transfer-Encoding: chunked'), 'latin1'),
					Buffer.from(chunks.map(([size, bytes]) => `${size}\r\n${bytes}\r\n`).join('')),
				]),
	),
	fc.constant<Change>((answer) => Buffer.concat([answer, answer])),
);
