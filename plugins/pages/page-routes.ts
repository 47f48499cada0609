import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { hash } from 'node:crypto';
import { RegistryError } from '../../src/errors.ts';
import { FairQueue } from '../../src/fair-queue.ts';
import { ANONYMOUS } from '../../src/balena/caller.ts';
import { parseReference } from '../../src/balena/reference.ts';
import { clientKey } from '../../src/http/client-address.ts';
import { queryOf } from '../../src/http/request-target.ts';
import { onClose } from '../../src/on-close.ts';
import type { Config } from '../../src/config.ts';
import { blockPage } from '../../src/page/block-page.ts';
import { fleetPage } from '../../src/page/fleet-page.ts';
import { homePage, messagePage } from '../../src/page/home-page.ts';
import { CONTENT_SECURITY_POLICY } from '../../src/page/layout.ts';
import { clientOf } from '../service/client-of.ts';
import { asRegistryError, logError } from '../service/errors.ts';
import { pageData } from './page-data.ts';

/** Pages that one client may open in a minute, all kinds together. */
const MAX_PAGES = 120;
const MAX_TYPED = 300;
/** Below this part of the paths is the token endpoint, and else nothing. */
const AUTH = 'auth';

const HEADERS = {
	'content-type': 'text/html; charset=utf-8',
	'content-security-policy': CONTENT_SECURITY_POLICY,
	'x-content-type-options': 'nosniff',
	'referrer-policy': 'no-referrer',
};
/** What the name of this service comes from; X-Forwarded-Proto, too, makes a request valid or not. */
const HOST_HEADERS = 'Host, X-Forwarded-Host, X-Forwarded-Proto';
/**
 * Of pages that clients have not taken yet, shared between them; beyond it there is none. Most pages have 10 KB, a few hundred
 * where a fleet's owner wants it so.
 */
const MAX_UNSENT_BYTES = 16 * 1024 * 1024;
/** What the kernel takes at once, read or not: nothing of it stays here. */
const SMALL_BYTES = 16 * 1024;
/** In seconds, by status; anything else is not to be kept. */
const MAX_AGE: Record<number, number> = { 200: 60, 404: 10 };

/** Pages for people with a browser. They show what an anonymous caller may know, and nothing else. */
export default fp(pageRoutes, {
	name: 'page-routes',
	encapsulate: true,
	dependencies: ['request-log', 'errors', 'rate-limit', 'api', 'challenge', 'resolver'],
});

async function pageRoutes(app: FastifyInstance, config: Config): Promise<void> {
	if (config.LANDING_PAGE === 'off') {
		return;
	}
	const dataFor = pageData(app, config);
	const unsent = new FairQueue({ capacity: MAX_UNSENT_BYTES, queue: 0, refusal: () => new Error('never') });
	const sendPage = (reply: FastifyReply, page: string): FastifyReply => {
		if (page.length > SMALL_BYTES) {
			const client = app.shareOf(reply.request.ip);
			if (!unsent.take(client, page.length)) {
				throw new RegistryError('UNAVAILABLE', 'too many pages are being sent; try again in a moment', { headers: { 'retry-after': '1' } });
			}
			onClose(reply.raw, () => unsent.release(client, page.length));
		}
		return sendPageTo(reply, page, config.PUBLIC_URL !== undefined);
	};

	app.setErrorHandler((error: FastifyError | RegistryError, request, reply) => {
		const known = asRegistryError(error);
		const { statusCode, message, headers } = known;
		logError(known, request, reply);
		return sendPage(
			reply.code(statusCode).headers(headers),
			messagePage(hostOrNothing(request), statusCode === 429 ? 'Slow down a little' : 'This did not work', message),
		);
	});

	// One for all routes, where @fastify/rate-limit's own option on a route would count each of them apart.
	const limit = app.rateLimit({
		max: config.RATE_LIMIT_MAX === 0 ? MAX_PAGES : Math.min(MAX_PAGES, config.RATE_LIMIT_MAX),
		timeWindow: 60_000,
		keyGenerator: (request: FastifyRequest) => `page ${clientKey(request.ip)}`,
		onExceeded: (request: FastifyRequest) => {
			request.facts.limit = 'page';
		},
	});
	const get = (url: string, handler: (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>): void => {
		app.route({ method: ['GET', 'HEAD'], url, config: { kind: 'page', rateLimit: false }, onRequest: limit, handler });
	};

	get('/', async (request, reply) => {
		const [reference = '', ...others] = queryOf(request.raw.url ?? '').getAll('reference');
		const host = hostOf(request);
		const data = dataFor({ ...ANONYMOUS, client: clientOf(request, reply) });
		const isTried = others.length === 0 && reference.trim() !== '';
		const trial = isTried ? await data.trial(reference.slice(0, MAX_TYPED), host) : undefined;
		return sendPage(reply, homePage(host, trial, config.PLATFORM_INDEX === 'on'));
	});
	get('/robots.txt', async (_request, reply) =>
		reply.type('text/plain').send('User-agent: *\nDisallow: /v2/\nDisallow: /auth/\nDisallow: /?\n'),
	);
	get('/favicon.ico', async (_request, reply) => reply.code(204).header('cache-control', 'public, max-age=86400').send());
	for (const url of ['/:org/:fleet', '/:org/:fleet/:release', '/:org/:fleet/:release/:service']) {
		get(url, async (request, reply) => sendFleet(Object.values(request.params as Record<string, string>), request, reply));
	}

	async function sendFleet(parts: string[], request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
		if (parts[0] === AUTH) {
			return reply.callNotFound() as unknown as FastifyReply;
		}
		const host = hostOf(request);
		const data = dataFor({ ...ANONYMOUS, client: clientOf(request, reply) });
		const name = parts.join('/').toLowerCase();
		const reference = parseReference(name);
		request.facts.name = reference.kind === 'fleet' ? name : undefined;
		const fleet = reference.kind === 'fleet' ? await data.fleet(reference.slug) : undefined;
		const rows = fleet === undefined ? await data.block(reference) : undefined;
		if (rows !== undefined) {
			return sendPage(reply, blockPage(host, name, rows));
		}
		if (reference.kind !== 'fleet' || fleet === undefined) {
			// The sentence of a pull, because it is the same question.
			const message = (await data.failure(reference)) ?? `there is no page for ${name}`;
			return sendPage(reply.code(404), messagePage(host, 'Nothing to pull here', message));
		}
		const shown = await data.release(reference, fleet);
		if (typeof shown === 'string') {
			return sendPage(reply.code(404), messagePage(host, 'Nothing to pull here', shown, fleet.slug));
		}
		request.facts.version = shown?.version;
		return sendPage(reply, fleetPage(host, fleet, shown, reference.service));
	}
}

/** What stands before a name in `docker pull`. @throws RegistryError where the client named no host that could */
function hostOf(request: FastifyRequest): string {
	return request.publicOrigin().replace(/^https?:\/\//, '');
}

/** The same for a page that has to be sent in any case. */
function hostOrNothing(request: FastifyRequest): string {
	try {
		return hostOf(request);
	} catch {
		return 'Container images of balena fleets';
	}
}

/**
 * Sends a page, or "not modified" where the client has it.
 *
 * @param ofOneHost whether all pages name the same host, whatever the request says. Else a cache in front could be made to show
 * one host's page, or one that somebody has made up, to the clients of another.
 */
function sendPageTo(reply: FastifyReply, page: string, ofOneHost: boolean): FastifyReply {
	const maxAge = MAX_AGE[reply.statusCode];
	reply.headers({ ...HEADERS, ...(ofOneHost ? {} : { vary: HOST_HEADERS }) });
	if (maxAge === undefined) {
		return reply.header('cache-control', 'no-store').send(page);
	}
	reply.header('cache-control', `${ofOneHost ? 'public' : 'private'}, max-age=${maxAge}`);
	const etag = `"${hash('sha256', page, 'base64url')}"`;
	reply.header('etag', etag);
	return reply.statusCode === 200 && isKnown(reply.request.headers['if-none-match'], etag) ? reply.code(304).send() : reply.send(page);
}

/** RFC 9110 section 13.1.2: a list, compared weakly, because what compresses answers on their way makes their tags weak. */
function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
	return ifNoneMatch !== undefined && ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag || tag.trim() === '*');
}
