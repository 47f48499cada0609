/*
 * What Node itself takes for it: a server that passes each request on through undici's dispatch, and its answer back, or, with
 * REMEMBERS=1, answers from memory once it has. It checks nothing, limits nothing, and logs nothing.
 */
import { createServer, type OutgoingHttpHeaders } from 'node:http';
import { Pool } from 'undici';

const { PORT, REGISTRY_URL, REMEMBERS } = process.env;
const pool = new Pool(REGISTRY_URL!, { connections: 256 });
const remembered = new Map<string, { status: number; headers: OutgoingHttpHeaders; body: Buffer }>();

createServer((request, response) => {
	const path = request.url ?? '';
	if (path === '/ping') {
		response.end('pong');
		return;
	}
	const known = remembered.get(path);
	if (known !== undefined) {
		response.writeHead(known.status, known.headers).end(known.body);
		return;
	}
	const { authorization, accept } = request.headers;
	const chunks: Buffer[] = [];
	let answer = { status: 0, headers: {} as OutgoingHttpHeaders };
	pool.dispatch(
		{ path, method: 'GET', headers: { authorization, accept } },
		{
			onRequestStart: () => undefined,
			onResponseStart: (_controller, status, headers) => {
				answer = { status, headers };
			},
			onResponseData: (_controller, chunk) => void chunks.push(chunk),
			onResponseEnd: () => {
				const body = Buffer.concat(chunks);
				if (REMEMBERS === '1') {
					remembered.set(path, { ...answer, body });
				}
				response.writeHead(answer.status, answer.headers).end(body);
			},
			onResponseError: () => void response.writeHead(502).end(),
		},
	);
}).listen(Number(PORT), '127.0.0.1');
