import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { closedPort, httpAnswer, startBrokenServer } from '../support/broken-server.ts';
import { startProcess } from '../support/process.ts';
import { ACCEPT } from '../support/proxy.ts';
import { ask, forge, type Question } from '../support/setup.ts';
import { sharedUpstream } from '../upstream/shared.ts';

/* Kind H: what a hop in between may do with an answer. The real process, before a registry that says what no client should be told. */

const upstream = await sharedUpstream();

/** All that an answer below /v2/ may say: of the content, of the error, and of the connection. */
const ALLOWED = new Set([
	...['cache-control', 'x-content-type-options', 'docker-distribution-api-version', 'x-request-id', 'date', 'connection', 'keep-alive'],
	...['content-type', 'content-length', 'content-encoding', 'content-range', 'accept-ranges', 'transfer-encoding'],
	...['docker-content-digest', 'etag', 'last-modified', 'vary', 'warning', 'location', 'link', 'oci-subject', 'oci-filters-applied'],
	...['www-authenticate', 'retry-after', 'allow'],
]);

const HOSTILE = {
	Server: 'nginx/1.2.3',
	Via: '1.1 inner.example',
	Refresh: '0; url=https://evil.example/',
	'Content-Security-Policy': "default-src 'none'",
	'Access-Control-Allow-Origin': '*',
	'Access-Control-Allow-Credentials': 'true',
	'Set-Cookie': 'a=b',
	'Strict-Transport-Security': 'max-age=1',
	'Alt-Svc': 'h3=":443"',
	'Clear-Site-Data': '"*"',
	'X-Powered-By': 'x',
	'X-Accel-Expires': '3600',
	'Surrogate-Control': 'max-age=3600',
	Expires: 'Thu, 01 Jan 2037 00:00:00 GMT',
	Age: '0',
	Link: '<https://evil.example/x>; rel=preload',
	'Cache-Control': 'public, max-age=31536000, immutable',
	'Docker-Distribution-Api-Version': 'registry/2.0',
	Warning: '299 - "déprécié"',
};
const MANIFEST = '{"schemaVersion":2}';
const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
const MANIFEST_DIGEST = `sha256:${hash('sha256', MANIFEST)}`;
const BLOB = 'x'.repeat(1000);
const LARGE = Buffer.alloc(200_000, 'x');
const blob = (name: string): string => `blobs/sha256:${Buffer.from(name).toString('hex').padStart(64, '0')}`;

/** What the registry answers, by what the path has in it; the first that does. */
const ANSWERS: [part: string | RegExp, status: string, headers?: Record<string, string>, body?: string | Buffer][] = [
	[/^\w+ \/v2\/ [^]*\nauthorization:/i, '200 OK', { 'Content-Type': 'application/json' }, '{}'],
	[' /v2/ ', '401 Unauthorized', { 'WWW-Authenticate': 'Bearer realm="x",service="registry.example"' }],
	['/manifests/absent', '404 Not Found', {}, '{}'],
	['/manifests/', '200 OK', { 'Content-Type': IMAGE, 'Docker-Content-Digest': MANIFEST_DIGEST }, MANIFEST],
	['/referrers/', '200 OK', { 'Content-Type': 'application/vnd.oci.image.index.v1+json' }, '{"manifests":[]}'],
	['/tags/', '200 OK', { 'Content-Type': 'application/json' }, '{"tags":["latest"]}'],
	[blob('large'), '200 OK', {}, LARGE],
	[blob('part'), '206 Partial Content', { 'Content-Range': 'bytes 0-9/1000' }, BLOB.slice(0, 10)],
	[blob('redirect'), '307 Temporary Redirect', { Location: 'https://storage.example/x' }],
	[blob('same'), '304 Not Modified', { ETag: '"x"' }],
	[blob('refused'), '401 Unauthorized', { 'WWW-Authenticate': 'Bearer realm="x",service="x",error="insufficient_scope"' }],
	[blob('denied'), '403 Forbidden', {}, '<h1>no</h1>'],
	[blob('absent'), '404 Not Found', {}, '<h1>no</h1>'],
	[blob('behind'), '416 Range Not Satisfiable', { 'Content-Range': 'bytes */1000' }],
	[blob('limited'), '429 Too Many Requests', { 'Retry-After': '60' }],
	[blob('broken'), '500 Internal Server Error', {}, '<h1>no</h1>'],
	[blob('away'), '503 Service Unavailable', { 'Retry-After': '60' }],
	['', '200 OK', { 'Content-Type': 'text/html' }, BLOB],
];

function answer(socket: Socket, head: string): void {
	const [, status, headers = {}, body = ''] = ANSWERS.find(([part]) => (typeof part === 'string' ? head.includes(part) : part.test(head)))!;
	const whole = httpAnswer(status, { ...HOSTILE, ...headers }, body);
	const hasBody = !head.startsWith('HEAD') && !status.startsWith('304');
	socket.write(hasBody ? whole : whole.subarray(0, whole.indexOf('\r\n\r\n') + 4));
}

const NAME = 'acme/pinned/1.0.0';
const BLOCK = 'acme/display/1.0.0';
const FAILED = 'acme/none/1.0.0';
const BY_DIGEST = 'acme/by-digest/1.0.0';
const REPOSITORY = `v2/${'0'.repeat(32)}`;
const TOKEN = forge(`e30.${Buffer.from(JSON.stringify({ exp: 4_000_000_000 })).toString('base64url')}.any`, {
	n: {
		[NAME]: [REPOSITORY, '1.0.0'],
		[BLOCK]: { block: { amd64: [REPOSITORY, '1.0.0'] } },
		[BY_DIGEST]: [`v2/${'1'.repeat(32)}`, '1.0.0'],
		[FAILED]: { code: 'NAME_UNKNOWN', message: 'there is none' },
	},
});
const NO_TOKEN = { token: undefined };

const ROWS: [path: string, status: number, question?: Omit<Question, 'token'> & { token?: undefined }][] = [
	['/v2', 401, NO_TOKEN],
	['/v2/', 401, NO_TOKEN],
	['/v2/', 200],
	['/v2/', 200, { method: 'HEAD' }],
	['/v2/_catalog', 200],
	['/v2/_catalog', 401, NO_TOKEN],
	[`/v2/${NAME}/manifests/latest`, 401, NO_TOKEN],
	[`/v2/${NAME}/manifests/latest`, 200, { method: 'HEAD' }],
	[`/v2/${NAME}/manifests/latest`, 200],
	// From memory.
	[`/v2/${NAME}/manifests/latest`, 200],
	[`/v2/${NAME}/manifests/latest`, 304, { headers: { 'if-none-match': `"${MANIFEST_DIGEST}"` } }],
	[`/v2/${NAME}/manifests/${MANIFEST_DIGEST}`, 200],
	[`/v2/${NAME}/manifests/${MANIFEST_DIGEST}`, 200, { method: 'HEAD' }],
	[`/v2/${NAME}/manifests/${MANIFEST_DIGEST}`, 206, { headers: { range: 'bytes=0-1' } }],
	// What is said of the digest, which a client may keep, is not said of a tag that turns out to be the same.
	[`/v2/${BY_DIGEST}/manifests/${MANIFEST_DIGEST}`, 200],
	[`/v2/${BY_DIGEST}/manifests/latest`, 200, { method: 'HEAD' }],
	[`/v2/${BY_DIGEST}/manifests/latest`, 200],
	[`/v2/${REPOSITORY}/manifests/absent`, 404],
	[`/v2/${FAILED}/manifests/latest`, 404],
	['/v2/acme/of-no-token/manifests/latest', 401],
	[`/v2/${BLOCK}/manifests/latest`, 200],
	[`/v2/${BLOCK}/manifests/latest`, 200, { method: 'HEAD' }],
	[`/v2/${BLOCK}/tags/list`, 200],
	[`/v2/${NAME}/tags/list`, 200],
	[`/v2/${NAME}/referrers/${MANIFEST_DIGEST}`, 200],
	[`/v2/${NAME}/${blob('small')}`, 200],
	[`/v2/${NAME}/${blob('small')}`, 200, { method: 'HEAD' }],
	[`/v2/${NAME}/${blob('small')}`, 206, { headers: { range: 'bytes=5-9' } }],
	[`/v2/${NAME}/${blob('small')}`, 416, { headers: { range: 'bytes=5000-' } }],
	[`/v2/${NAME}/${blob('large')}`, 200],
	[`/v2/${NAME}/${blob('large')}`, 206, { headers: { range: 'bytes=5-9' } }],
	[`/v2/${NAME}/${blob('part')}`, 206, { headers: { range: 'bytes=0-9' } }],
	[`/v2/${NAME}/${blob('redirect')}`, 307],
	[`/v2/${NAME}/${blob('redirect')}`, 307],
	[`/v2/${NAME}/${blob('same')}`, 304, { headers: { 'if-none-match': '"x"' } }],
	[`/v2/${NAME}/${blob('refused')}`, 401],
	[`/v2/${NAME}/${blob('denied')}`, 403],
	[`/v2/${NAME}/${blob('absent')}`, 404],
	[`/v2/${NAME}/${blob('behind')}`, 416, { headers: { range: 'bytes=5000-' } }],
	[`/v2/${NAME}/${blob('limited')}`, 429],
	[`/v2/${NAME}/${blob('broken')}`, 502],
	[`/v2/${NAME}/${blob('away')}`, 503],
	[`/v2/${NAME}/manifests/latest`, 405, { method: 'PUT' }],
	[`/v2/${NAME}/blobs/uploads/`, 405, { method: 'POST' }],
	['/v2/', 405, { method: 'DELETE' }],
	['/v2/', 405, { method: 'PROPFIND' }],
	['/v2/nothing/of/the/kind', 404],
	['/v2/%zz/manifests/latest', 400],
	[`/v2/${NAME}/manifests/a%20b`, 400],
];

test('every answer below /v2/ is private, is what it says it is, and says nothing of what is behind', { timeout: 60_000 }, async (t) => {
	const registry = await startBrokenServer(t, answer);
	const { apiUrl } = upstream;
	const service = await startProcess(t, { apiUrl, registryUrl: registry.url });
	const limited = await startProcess(t, { apiUrl, registryUrl: registry.url }, { RATE_LIMIT_MAX: '1' });
	const stranded = await startProcess(t, { apiUrl, registryUrl: await closedPort() });
	await ask(limited, '/v2/');
	const check = async (on: typeof service, path: string, status: number, question: Question): Promise<void> => {
		const { status: got, headers, text } = await ask(on, path, { ...question, headers: { accept: ACCEPT, ...question.headers } });
		assert.equal(got, status, text);
		assert.deepEqual(
			Object.keys(headers).filter((name) => !ALLOWED.has(name)),
			[],
		);
		assert.deepEqual(
			[headers['x-content-type-options'], headers['docker-distribution-api-version']],
			['nosniff', 'registry/2.0'],
			JSON.stringify(headers),
		);
		const mayBeKept = path.includes('sha256:') && !path.includes('/referrers/') && got < 400 && got !== 307;
		assert.match(headers['cache-control'] ?? 'nothing', mayBeKept ? /^private(, max-age=31536000)?$/ : /^private$/);
		assert.doesNotMatch(JSON.stringify(headers), /evil|inner\.example|nginx/);
		if (got < 400 && headers.warning !== undefined) {
			// The registry's own bytes, which node:http reads as Latin-1.
			assert.equal(Buffer.from(String(headers.warning), 'latin1').toString(), HOSTILE.Warning);
		}
		if (got >= 400 && question.method !== 'HEAD') {
			assert.equal(JSON.parse(text).errors.length, 1);
		}
	};
	for (const [path, status, question = {}] of ROWS) {
		await t.test(`${question.method ?? 'GET'} ${path} ${JSON.stringify(question.headers ?? {})} -> ${status}`, () =>
			check(service, path, status, { token: TOKEN, ...question }),
		);
	}
	for (const path of ['/v2/', '/v2', '/v2/nothing', `/v2/${NAME}/manifests/latest`, `/v2/${NAME}/tags/list`]) {
		await t.test(`over a limit: ${path}`, () => check(limited, path, 429, { token: TOKEN }));
	}
	for (const path of ['/v2/', `/v2/${NAME}/manifests/latest`, `/v2/${BLOCK}/manifests/latest`, `/v2/${NAME}/${blob('small')}`]) {
		await t.test(`without a registry: ${path}`, () => check(stranded, path, 502, { token: TOKEN }));
	}
});

test('a page names no host that somebody made up to anybody else', { timeout: 60_000 }, async (t) => {
	const PAGES: [path: string, status: number][] = [
		['/', 200],
		['/?reference=acme/pinned', 200],
		['/acme/pinned', 200],
		['/acme/display', 200],
		['/acme/nothing-here', 404],
	];
	const rows: Record<string, { env: Record<string, string>; isEchoed: boolean; cacheControl: RegExp; vary: string | undefined }> = {
		'from nobody who is trusted': {
			env: {},
			isEchoed: false,
			cacheControl: /^private, max-age=\d+$/,
			vary: 'Host, X-Forwarded-Host, X-Forwarded-Proto',
		},
		'through a hop that is trusted': {
			env: { TRUST_PROXY: 'loopback' },
			isEchoed: true,
			cacheControl: /^private, max-age=\d+$/,
			vary: 'Host, X-Forwarded-Host, X-Forwarded-Proto',
		},
		'with PUBLIC_URL': {
			env: { TRUST_PROXY: 'loopback', PUBLIC_URL: 'https://images.example' },
			isEchoed: false,
			cacheControl: /^public, max-age=\d+$/,
			vary: undefined,
		},
	};
	for (const [what, { env, isEchoed, cacheControl, vary }] of Object.entries(rows)) {
		await t.test(what, async () => {
			const service = await startProcess(t, upstream, env);
			for (const [path, status] of PAGES) {
				const page = await ask(service, path, { headers: { 'x-forwarded-host': 'evil.example' } });
				assert.equal(page.status, status, path);
				assert.equal(page.text.includes('evil.example'), isEchoed, path);
				assert.match(page.headers['cache-control'] ?? '', cacheControl);
				assert.equal(page.headers.vary, vary);
				assert.equal(page.headers['x-content-type-options'], 'nosniff');
			}
			const token = await ask(service, '/auth/v1/token', { headers: { 'x-forwarded-host': 'evil.example' } });
			assert.equal(token.headers['cache-control'], 'no-store');
		});
	}
});
