import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mintToken } from '../upstream/control.ts';
import type { RunningUpstream } from '../upstream/index.ts';

/* Registries as they are met in production, made of one that stores blobs itself and never fails. */

/** What happened during one pull. */
export interface Counts {
	/** Blobs that came from the object storage. */
	stored: number;
	/** Blobs that broke off. */
	brokenOff: number;
	/** Parts of blobs: answers 206. */
	ranges: number;
}

export interface Listener {
	/** Host and port. */
	host: string;
	close(): void;
}

/** A blob of more bytes than this breaks off after them. */
const BREAKS_OFF_AFTER = 20_000_000;

/** Passes on everything but blobs that the registry would serve: those it redirects, as production does. */
export async function startRedirector(registryUrl: string, storage: Listener): Promise<Listener> {
	return listen('127.0.0.1', (incoming, response) => {
		const isBlob = incoming.method === 'GET' && incoming.url?.includes('/blobs/') === true;
		forward(
			registryUrl,
			incoming,
			response,
			{ ...incoming.headers, host: new URL(registryUrl).host },
			isBlob ? 'HEAD' : incoming.method,
			(answer) => {
				if (!isBlob || answer.statusCode !== 200) {
					return false;
				}
				answer.resume();
				response.writeHead(307, { location: `http://${storage.host}${incoming.url}`, 'content-length': 0 }).end();
				return true;
			},
		);
	});
}

/** Object storage at a host of its own, which refuses credentials, as S3 does with signed URLs. Its host is a name, because crane follows no redirect to a loopback address. */
export async function startStorage(upstream: RunningUpstream, counts: Counts): Promise<Listener> {
	const listener = await listen('127.0.0.1', (incoming, response) => {
		if (incoming.headers.authorization !== undefined) {
			response.writeHead(400).end('Only one auth mechanism allowed');
			return;
		}
		const name = /^\/v2\/(v2\/[0-9a-f]+)\//.exec(incoming.url ?? '')?.[1] ?? '';
		mintToken(upstream, [{ type: 'repository', name, actions: ['pull'] }]).then(
			(token) => {
				const { range } = incoming.headers;
				counts.stored += 1;
				forward(upstream.registryUrl, incoming, response, { authorization: `Bearer ${token}`, ...(range === undefined ? {} : { range }) });
			},
			() => response.destroy(),
		);
	});
	return { ...listener, host: listener.host.replace('127.0.0.1', 'localhost') };
}

/** Breaks off the first big blob of a pull in its middle, and answers whoever asks for the rest of it. */
export async function startBreaking(registryUrl: string, counts: Counts): Promise<Listener> {
	return listen('127.0.0.1', (incoming, response) => {
		forward(registryUrl, incoming, response, { ...incoming.headers, host: new URL(registryUrl).host }, incoming.method, (answer) => {
			counts.ranges += answer.statusCode === 206 ? 1 : 0;
			if (incoming.method !== 'GET' || counts.brokenOff > 0 || Number(answer.headers['content-length']) <= BREAKS_OFF_AFTER) {
				return false;
			}
			counts.brokenOff += 1;
			let sent = 0;
			response.writeHead(answer.statusCode!, answer.headers);
			answer.on('data', (chunk: Buffer) => {
				sent += chunk.length;
				if (sent > BREAKS_OFF_AFTER) {
					answer.destroy();
					response.destroy();
				} else if (!response.write(chunk)) {
					answer.pause();
					response.once('drain', () => answer.resume());
				}
			});
			return true;
		});
	});
}

/** The registry without its door: for who pushes what the service only reads. */
export async function startPushing(registryUrl: string, token: string): Promise<Listener> {
	// The host stays as it was asked for, because the registry says where uploads go on.
	return listen('127.0.0.1', (incoming, response) =>
		forward(registryUrl, incoming, response, { ...incoming.headers, authorization: `Bearer ${token}` }),
	);
}

/** @param answered whether it has dealt with the answer itself */
function forward(
	registryUrl: string,
	incoming: IncomingMessage,
	response: ServerResponse,
	headers: NodeJS.Dict<string | string[]>,
	method = incoming.method,
	answered: (answer: IncomingMessage) => boolean = () => false,
): void {
	const outgoing = request(registryUrl + incoming.url, { method, headers }, (answer) => {
		answer.on('error', () => response.destroy());
		if (!answered(answer)) {
			response.writeHead(answer.statusCode!, answer.headers);
			answer.pipe(response);
		}
	});
	outgoing.on('error', () => response.destroy());
	incoming.pipe(outgoing);
}

async function listen(address: string, handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<Listener> {
	const server = createServer(handle).listen(0, address);
	await once(server, 'listening');
	return {
		host: `${address}:${(server.address() as AddressInfo).port}`,
		close() {
			server.closeAllConnections();
			server.close();
		},
	};
}
