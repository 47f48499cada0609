import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Readable } from 'node:stream';
import type { Socket } from 'node:net';
import type { Config } from '../../src/config.ts';
import { overloadedError, upstreamError } from '../../src/errors.ts';
import type { ForwardedAnswer } from '../../src/http/forward-request.ts';
import { askedPart, PartOfBody, type Part } from '../../src/http/range.ts';
import { onClose } from '../../src/on-close.ts';
import { isDigest } from '../../src/registry/digest.ts';
import { upstreamStatusError } from '../../src/registry/error-response.ts';
import { answerHeaders, describesAnswer, forwardedRequestHeaders, PRIVATE_HEADERS } from '../../src/registry/headers.ts';
import { ownLink } from '../../src/registry/link.ts';
import { readRedirect } from '../../src/registry/redirect.ts';
import { fromStorage } from './from-storage.ts';

/** Most redirects within the registry that are fetched on a client's behalf. */
const MAX_HOPS = 3;
/** Bytes that anybody may skip: a moment's work. */
const SMALL_SKIP = 1024 * 1024;

/**
 * Sends an answer of the registry's to the client: a success, a redirect or "not modified" as it is.
 *
 * @throws RegistryError for anything else
 */
export async function sendAnswer(reply: FastifyReply, first: ForwardedAnswer, { REGISTRY_URL }: Config): Promise<void> {
	const { request, server } = reply;
	const asked = request.upstreamRequest!;
	let answer = first;
	let path = asked.path;
	let isToToken = true;
	for (let hop = 0; isRedirect(answer); hop++) {
		if (asked.kind === 'ping') {
			throw upstreamStatusError(502, { ...asked, name: '' }, {}, new Error('a redirect instead of an answer to a token'));
		}
		const redirect = readRedirect(answer.headers.location!, REGISTRY_URL, path);
		if (redirect.to === 'proxy') {
			return send(reply, answer, `${request.ownOrigin}${redirect.path}`);
		}
		if (redirect.to === 'elsewhere') {
			if (asked.mayFollow !== true || server.follow === undefined) {
				if (answer === first) {
					asked.onAnswer?.(answer.statusCode, answer.headers);
				}
				return send(reply, answer, redirect.location);
			}
			return send(reply, await server.follow(redirect.location, request));
		}
		if (hop === MAX_HOPS) {
			throw upstreamError(
				'registry',
				new Error(`more than ${MAX_HOPS} redirects within the registry, the last to ${redirect.path.split('?', 1)[0]}`),
			);
		}
		path = redirect.path;
		isToToken = redirect.isForToken;
		answer = await askRegistry(request, path, isToToken, REGISTRY_URL);
	}
	if (!isToToken && asked.mayFollow === true) {
		return send(reply, fromStorage(asked, answer));
	}
	if (answer.statusCode === 404 && asked.onAbsent !== undefined) {
		await asked.onAbsent();
		return;
	}
	if (answer.statusCode >= 400) {
		throw await request.refusal(asked, answer.statusCode, answer.headers, 'whole' in answer.body ? answer.body.whole : Buffer.alloc(0));
	}
	if (answer === first) {
		asked.onAnswer?.(answer.statusCode, answer.headers);
	}
	send(reply, answer);
}

function isRedirect({ statusCode, headers }: ForwardedAnswer): boolean {
	return statusCode >= 300 && statusCode < 400 && statusCode !== 304 && headers.location !== undefined;
}

/** What the registry's own redirect leads to; its storage would take a token for a signature that does not hold. */
async function askRegistry(request: FastifyRequest, path: string, isForToken: boolean, origin: string): Promise<ForwardedAnswer> {
	const headers = forwardedRequestHeaders(request.headers);
	headers['x-request-id'] = request.id;
	if (isForToken) {
		headers['authorization'] = `Bearer ${request.upstreamRequest!.token}`;
	}
	try {
		return await request.server.askFor(request, request.server.registry.dispatcher, { origin, path, headers });
	} catch (error) {
		throw upstreamError('registry', error);
	}
}

/** @param location a redirect's target, as the client is told it */
function send(reply: FastifyReply, answer: ForwardedAnswer, location?: string): void {
	const { request } = reply;
	const { statusCode, headers, body } = answer;
	const { item, kind } = request.upstreamRequest!;
	// What refers to a digest may come to be more.
	const isImmutable = isDigest(item) && kind !== 'referrers' && (statusCode < 300 || statusCode === 304);
	const part = partAskedFor(request, answer);
	const hasSkipped = part === undefined || 'whole' in body ? undefined : beginSkip(reply, body, part);
	reply.code(statusCode).headers(answerHeaders(headers, isImmutable));
	if (location !== undefined) {
		reply.header('location', location);
	}
	if (headers.link !== undefined && kind === 'referrers') {
		sendLink(reply, headers.link);
	}
	if (part !== undefined) {
		reply
			.code(206)
			.headers({ 'content-range': `bytes ${part.first}-${part.last}/${lengthOf(answer)}`, 'content-length': part.last + 1 - part.first });
	}
	if ('whole' in body) {
		const bytes = part === undefined ? body.whole : body.whole.subarray(part.first, part.last + 1);
		// Without bytes, Fastify adds no field that the registry did not send: RFC 9110 section 8.6.
		reply.send(request.method === 'HEAD' || statusCode === 304 || (bytes.length === 0 && statusCode !== 204) ? undefined : bytes);
	} else {
		const stream = part === undefined ? body : cut(body, part).once('begin', () => hasSkipped?.());
		stream.once('error', (error) => onBreak(reply, error));
		reply.send(stream);
	}
}

/** The next page of a list of referrers. */
function sendLink(reply: FastifyReply, upstreamLink: string | string[]): void {
	const { name, item, path } = reply.request.upstreamRequest!;
	const link = ownLink(upstreamLink, path, `/v2/${name}/referrers/${item}`);
	if (link === undefined) {
		reply.request.log.warn('the registry links to a next page of referrers that cannot be asked for here, so that the list is cut off');
	} else {
		reply.header('link', link);
	}
}

/** @returns the number of bytes of a whole body; NaN where the registry does not say it */
function lengthOf({ headers, body }: ForwardedAnswer): number {
	return 'whole' in body ? body.whole.length : Number(headers['content-length'] ?? Number.NaN);
}

/**
 * The part of a whole answer that was asked for. The registry, or its storage, may ignore a `Range` (RFC 9110 section 14.2), but
 * balena-engine goes on where it stopped, and takes a 200 for a reason to ask again, for ever.
 *
 * @throws RegistryError 416 where there is no such part
 */
function partAskedFor({ method, headers, upstreamRequest }: FastifyRequest, answer: ForwardedAnswer): Part | undefined {
	const { range, 'if-range': condition } = headers;
	const length = lengthOf(answer);
	if (
		range === undefined ||
		method !== 'GET' ||
		answer.statusCode !== 200 ||
		Number.isNaN(length) ||
		(condition !== undefined && condition !== answer.headers.etag)
	) {
		return undefined;
	}
	const part = askedPart(range, length);
	if (part === 'unsatisfiable') {
		answer.body.destroy();
		throw upstreamStatusError(416, { ...upstreamRequest!, name: '' }, { 'content-range': `bytes */${length}` });
	}
	return part;
}

/**
 * Takes one of the places for bodies of which much is skipped.
 *
 * @returns a function that gives it back, which the end of the answer does too
 * @throws RegistryError 503 where there is none for the client
 */
function beginSkip(reply: FastifyReply, body: Readable, { first }: Part): (() => void) | undefined {
	if (first <= SMALL_SKIP) {
		return undefined;
	}
	const { skips } = reply.server;
	const client = reply.server.shareOf(reply.request.ip);
	if (!skips.take(client, 1)) {
		body.destroy();
		throw overloadedError('registry');
	}
	let isHeld = true;
	const giveBack = (): void => {
		if (isHeld) {
			isHeld = false;
			skips.release(client, 1);
		}
	};
	onClose(reply.raw, giveBack);
	return giveBack;
}

/** What is behind the part is not read. What is before it passes at the registry's pace, with nothing for the client to wait with. */
function cut(body: Readable, part: Part): Readable {
	const passed = new PartOfBody(part);
	// Not a pipeline, to which a body that is not read to its end has broken off.
	body.once('error', (error) => passed.destroy(error));
	passed.once('end', () => passed.destroy()).once('close', () => body.destroy());
	return body.pipe(passed);
}

/** A body that is to be streamed breaks off. */
function onBreak(reply: FastifyReply, error: Error): void {
	const { raw, request } = reply;
	if (!raw.headersSent) {
		// It is answered with an error, which must not say of itself what the registry said of the body.
		dropHeaders(reply);
	} else if (!raw.destroyed) {
		request.log.warn({ error: error.message }, 'the registry broke off in the middle of an answer');
		if (request.raw.httpVersion === '1.0') {
			reset(request.raw.socket);
		}
	}
}

/**
 * Ends a connection so that nobody takes what has come for the whole: of an HTTP/1.0 answer, a plain end would say just that (RFC
 * 9112 section 8). With HTTP/1.1 a length or chunks tell, and a plain end is better: containerd 1.6 and 2.4 resume a layer after
 * that, and give up after a reset.
 */
function reset(socket: Socket): void {
	try {
		// One that is ending already cannot be reset: Node would forget its descriptor without closing it.
		if (socket.writableEnded) {
			socket.destroy();
		} else {
			socket.resetAndDestroy();
		}
	} catch {
		// TLS has no reset, and needs none: its connection ends without a "close notify".
		socket.destroy();
	}
}

/** Takes back the headers that describe an answer of the registry's. */
function dropHeaders(reply: FastifyReply): void {
	for (const name of Object.keys(reply.getHeaders())) {
		if (describesAnswer(name)) {
			reply.removeHeader(name);
			// Where a body was about to be streamed, Node knows them already.
			reply.raw.removeHeader(name);
		}
	}
	reply.headers(PRIVATE_HEADERS);
}
