import { request, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { listen } from './listen.ts';

/** A request as it came in, with its body when it had one. */
export interface RecordedRequest {
	method: string;
	/** The raw target: path and query. */
	url: string;
	headers: IncomingHttpHeaders;
	body: string;
}

/** What happens to a request; undefined: it is passed on. */
export type Fault =
	| undefined
	/** Answered here, and not passed on. */
	| { status: number; headers?: Record<string, string | string[]>; body?: string }
	/** Never answered, until the client gives up or the relay closes. */
	| 'hang'
	/** The connection is reset. */
	| 'reset'
	/** Headers and this many bytes of the body are passed back, then nothing more comes. */
	| { hangAfterBytes: number }
	/** The same, then the connection ends. */
	| { truncateAfterBytes: number }
	| { delayMs: number }
	/** Passed on when this is over, and not before. */
	| { after: Promise<unknown> };

export interface Relay {
	/** Takes the place of the target's URL, without a slash at the end. */
	url: string;
	/** Every request since the start, or since a test emptied the list. */
	requests: RecordedRequest[];
	/** May be set anew at any time; applies to the requests that come from then on. */
	fault: (request: RecordedRequest) => Fault;
	/** How many requests are under way: not yet answered to the end. */
	readonly underWay: number;
	close(): Promise<void>;
}

/**
 * Starts a server that passes everything on to `target` (an http URL without a path), so that a test can see what reaches an upstream and break it.
 * Challenges pass through unchanged: their realm is still the target's.
 */
export async function startRelay(target: string, { fault = () => undefined }: Partial<Pick<Relay, 'fault'>> = {}): Promise<Relay> {
	const { server, url, close } = await listen();
	let underWay = 0;
	const relay: Relay = {
		url,
		requests: [],
		fault,
		get underWay() {
			return underWay;
		},
		close,
	};
	server.on('request', (req, res) => {
		underWay++;
		res.once('close', () => underWay--);
		handle(relay, target, req, res).catch(() => res.destroy());
	});
	return relay;
}

async function handle(relay: Relay, target: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
	const recorded: RecordedRequest = { method: req.method ?? '', url: req.url ?? '', headers: req.headers, body: await textOf(req) };
	relay.requests.push(recorded);
	const fault = relay.fault(recorded);
	if (fault === 'hang') {
		return;
	}
	if (fault === 'reset') {
		res.socket?.resetAndDestroy();
		return;
	}
	if (fault !== undefined && 'status' in fault) {
		res.writeHead(fault.status, fault.headers).end(fault.body);
		return;
	}
	if (fault !== undefined && 'delayMs' in fault) {
		await sleep(fault.delayMs);
	}
	if (fault !== undefined && 'after' in fault) {
		await fault.after;
	}
	// Whoever went away meanwhile takes nothing, and would leave the target's answer unread for ever.
	if (res.destroyed) {
		return;
	}
	passOn(target, recorded, res, fault);
}

function passOn(target: string, { method, url, headers, body }: RecordedRequest, res: ServerResponse, fault: Fault): void {
	const outgoing = request(target, { method, path: url, headers: { ...headers, host: new URL(target).host } });
	// A client that goes away ends the target's work too.
	res.once('close', () => outgoing.destroy());
	outgoing.once('error', () => res.destroy());
	outgoing.once('response', (incoming) => {
		incoming.once('error', () => res.destroy());
		res.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, incoming.headers);
		if (typeof fault === 'object' && ('hangAfterBytes' in fault || 'truncateAfterBytes' in fault)) {
			passPart(incoming, res, fault);
		} else {
			incoming.pipe(res);
		}
	});
	outgoing.end(body);
}

function passPart(
	incoming: IncomingMessage,
	res: ServerResponse,
	fault: { hangAfterBytes: number } | { truncateAfterBytes: number },
): void {
	const isTruncated = 'truncateAfterBytes' in fault;
	let left = isTruncated ? fault.truncateAfterBytes : fault.hangAfterBytes;
	res.flushHeaders();
	const end = (): void => {
		if (isTruncated) {
			// Not a reset, which could overtake the bytes.
			res.socket?.destroySoon();
		}
	};
	if (left === 0) {
		incoming.pause();
		end();
		return;
	}
	incoming.on('data', (chunk: Buffer) => {
		const part = chunk.subarray(0, left);
		left -= part.length;
		if (left > 0) {
			res.write(part);
			return;
		}
		incoming.pause();
		// Not before they are written: of a body in chunks Node keeps what it has until the end of the turn, and drops it with the connection.
		res.write(part, end);
	});
}

async function textOf(req: IncomingMessage): Promise<string> {
	const chunks: Buffer[] = [];
	for await (const chunk of req) {
		chunks.push(chunk as Buffer);
	}
	return Buffer.concat(chunks).toString();
}
