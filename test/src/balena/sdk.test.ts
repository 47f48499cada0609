import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { loadPine, sdkDispatcher, type Pine } from '../../../src/balena/sdk.ts';
import type { UpstreamDispatcher } from '../../../src/http/upstream-dispatcher.ts';
import { table } from '../../support/table.ts';

/** What a server in place of the API answers next, and what it was last asked. */
let answer: RequestListener;
let asked: IncomingMessage;
let pine: Pine;
let dispatcher: UpstreamDispatcher;
let origin: string;

const server = createServer((request, response) => {
	asked = request;
	answer(request, response);
});

before(async () => {
	await once(server.listen(0, '127.0.0.1'), 'listening');
	origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	dispatcher = sdkDispatcher(origin, 2000, 'test', {});
	pine = await loadPine(origin, dispatcher.dispatcher);
});

after(async () => {
	await dispatcher.destroy();
	server.closeAllConnections();
	server.close();
});

async function get(passthrough: Record<string, unknown> = {}, options: Record<string, unknown> = { $top: 1 }): Promise<unknown> {
	return pine.get({ resource: 'release', options, passthrough: { anonymous: true, ...passthrough } });
}

/** The answer to a body, or `refused`. */
const answered = async (listener: RequestListener): Promise<unknown> => {
	answer = listener;
	return get().catch(() => 'refused');
};

describe('loadPine: answers of the API', () => {
	const JSON_TYPE = { 'content-type': 'application/json' };
	const rows = JSON.stringify({ d: [{ id: 1 }] });
	const padded = (bytes: number): string => JSON.stringify({ d: [], padding: 'x'.repeat(bytes) });
	table<[what: string, listener: RequestListener]>(
		[
			[['rows', (_request, response) => response.writeHead(200, JSON_TYPE).end(rows)], [{ id: 1 }]],
			[['900 KiB', (_request, response) => response.writeHead(200, JSON_TYPE).end(padded(900 * 2 ** 10))], []],
			[['2 MiB', (_request, response) => response.writeHead(200, JSON_TYPE).end(padded(2 * 2 ** 20))], 'refused'],
			// It was asked not to, and what it unpacks to has no bound.
			[
				['gzip', (_request, response) => response.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'gzip' }).end(gzipSync(rows))],
				'refused',
			],
			// It would take the credentials elsewhere.
			[
				[
					'a redirect',
					(request, response) => response.writeHead(request.url === '/rows' ? 200 : 302, { ...JSON_TYPE, location: '/rows' }).end(rows),
				],
				'refused',
			],
			[['401', (_request, response) => response.writeHead(401).end()], 'refused'],
			[['500', (_request, response) => response.writeHead(500).end()], 'refused'],
			[
				[
					'half an answer',
					(_request, response) =>
						void response.writeHead(200, { ...JSON_TYPE, 'content-length': '1000' }).write('{', () => response.destroy()),
				],
				'refused',
			],
			[['no answer at all', () => {}], 'refused'],
		],
		([, listener]) => answered(listener),
	);
});

describe('loadPine: requests to the API', () => {
	const ask = async (passthrough: Record<string, unknown>, options?: Record<string, unknown>): Promise<IncomingMessage> => {
		answer = (_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"d":[]}');
		await get(passthrough, options);
		return asked;
	};
	test('go to version 7 of its model', async () => assert.match((await ask({})).url!, /^\/v7\/release\?/));
	test('ask for plain bytes', async () => assert.equal((await ask({})).headers['accept-encoding'], 'identity'));
	test('carry the credentials that were given, and no others', async () => {
		assert.equal((await ask({ headers: { Authorization: 'Bearer key' } })).headers.authorization, 'Bearer key');
		assert.equal((await ask({})).headers.authorization, undefined);
	});
	test('texts stay inside their quotes', async () => {
		const slug = "org/app' or 1 eq 1 or slug eq '&$top=1000#%27\r\n";
		const { url = '' } = await ask({}, { $filter: { slug } });
		const query = new URL(url, 'http://api').searchParams;
		assert.deepEqual([...query.keys()], ['$filter']);
		assert.equal(query.get('$filter'), `slug eq '${slug.replaceAll("'", "''")}'`);
	});
	test('end when their signal does', async () => {
		const controller = new AbortController();
		answer = () => controller.abort();
		await assert.rejects(get({ signal: controller.signal }));
	});
});

describe('loadPine: other users of the global fetch', () => {
	test('are left alone', async (t) => {
		const other = createServer((_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('plain')));
		await once(other.listen(0, '127.0.0.1'), 'listening');
		t.after(() => {
			other.closeAllConnections();
			other.close();
		});
		const response = await fetch(`http://127.0.0.1:${(other.address() as AddressInfo).port}/`);
		assert.equal(await response.text(), 'plain');
	});
});
