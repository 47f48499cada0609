import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { hash } from 'node:crypto';
import type { RegistryError } from '../src/errors.ts';
import { ANONYMOUS } from '../src/balena/caller.ts';
import { fleetPageQuery, parseFleetPage, type FleetPageData, type PageRelease } from '../src/balena/fleet-page.ts';
import { parseReference, type FleetReference } from '../src/balena/reference.ts';
import { LoadingCache } from '../src/cache.ts';
import { clientKey } from '../src/client-address.ts';
import type { Config } from '../src/config.ts';
import { fleetPage } from '../src/page/fleet-page.ts';
import { homePage, messagePage, type Trial } from '../src/page/home-page.ts';
import { CONTENT_SECURITY_POLICY } from '../src/page/layout.ts';
import { typedReference } from '../src/page/typed-reference.ts';
import { asRegistryError } from './errors.ts';

/** How many fleets' pages are kept, and for how long. */
const MAX_FLEETS = 500;
const FRESH_MS = 60_000;
const NOT_FOUND_MS = 10_000;
/** Pages that one client may open in a minute. */
const MAX_PAGES = 120;
const MAX_TYPED = 300;

const HEADERS = {
	'content-type': 'text/html; charset=utf-8',
	'content-security-policy': CONTENT_SECURITY_POLICY,
	'x-content-type-options': 'nosniff',
	'referrer-policy': 'no-referrer',
	'cache-control': 'public, max-age=60',
};

/** Pages for people with a browser. They show what an anonymous caller may know, and nothing else. */
export default async function landingPage(app: FastifyInstance, config: Config): Promise<void> {
	if (config.LANDING_PAGE === 'off') {
		return;
	}
	const fleets = new LoadingCache<FleetPageData | undefined>({ max: MAX_FLEETS });

	app.setErrorHandler((error: FastifyError | RegistryError, request, reply) => {
		const { statusCode, message, headers, cause } = asRegistryError(error);
		if (statusCode >= 500) {
			request.log.error({ cause: (cause as Error | undefined)?.message }, message);
		}
		return sendPage(reply.code(statusCode).headers(headers), messagePage(hostOf(request), 'This did not work', message), 'no-store');
	});

	const options = {
		config: {
			kind: 'page',
			rateLimit: {
				max: MAX_PAGES,
				timeWindow: 60_000,
				keyGenerator: (request: FastifyRequest) => `page ${clientKey(request.ip)}`,
				onExceeded: (request: FastifyRequest) => {
					request.facts.limit = 'page';
				},
			},
		},
	} as const;
	const get = (url: string, handler: (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>): void => {
		app.route({ method: ['GET', 'HEAD'], url, ...options, handler });
	};

	get('/', async (request, reply) => {
		const { reference } = request.query as { reference?: unknown };
		const trial = typeof reference === 'string' && reference.trim() !== '' ? await tryReference(reference.slice(0, MAX_TYPED), hostOf(request)) : undefined;
		return sendPage(reply, homePage(hostOf(request), trial));
	});
	get('/robots.txt', async (_request, reply) => reply.type('text/plain').send('User-agent: *\nDisallow: /v2/\nDisallow: /auth/\n'));
	get('/favicon.ico', async (_request, reply) => reply.code(204).header('cache-control', 'public, max-age=86400').send());
	for (const url of ['/:org/:fleet', '/:org/:fleet/:release', '/:org/:fleet/:release/:service']) {
		get(url, async (request, reply) => sendFleet(Object.values(request.params as Record<string, string>).join('/'), request, reply));
	}

	async function sendFleet(name: string, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
		if (name.startsWith('auth/')) {
			return reply.callNotFound() as unknown as FastifyReply;
		}
		const reference = parseReference(name.toLowerCase());
		request.facts.name = reference.kind === 'fleet' ? name : undefined;
		const fleet = reference.kind === 'fleet' ? await fleetOf(reference.slug) : undefined;
		if (reference.kind !== 'fleet' || fleet === undefined) {
			// The sentence of a pull, because it is the same question.
			const trial = await outcomeOf(name.toLowerCase());
			const message = trial.kind === 'failure' ? trial.message : `there is no page for ${name}`;
			return sendPage(reply.code(404), messagePage(hostOf(request), 'Nothing to pull here', message));
		}
		const shown = reference.release === undefined ? (fleet.releases.find(({ commit }) => commit === fleet.trackedCommit) ?? fleet.releases[0]) : await releaseOf(reference, fleet);
		if (typeof shown === 'string') {
			return sendPage(reply.code(404), messagePage(hostOf(request), fleet.slug, shown));
		}
		return sendPage(reply, fleetPage(hostOf(request), fleet, shown));
	}

	function fleetOf(slug: string): Promise<FleetPageData | undefined> {
		return fleets.get(slug, async () => {
			const value = parseFleetPage(await app.api.query('application', fleetPageQuery(slug), ANONYMOUS));
			return { value, freshMs: value === undefined ? NOT_FOUND_MS : FRESH_MS };
		});
	}

	/** The release that is meant, as a pull would resolve it: one of those that are listed, or one that is not, such as a draft. @returns the sentence that says why there is none */
	async function releaseOf(reference: FleetReference, fleet: FleetPageData): Promise<PageRelease | string> {
		const text = reference.release!.text;
		const listed = fleet.releases.find(({ commit, path }) => path === text || commit === text);
		if (listed !== undefined) {
			return listed;
		}
		const resolution = await app.resolver.resolve(reference, ANONYMOUS);
		if (resolution.kind === 'failure') {
			return resolution.message;
		}
		return (
			fleet.releases.find(({ version }) => version === resolution.version) ?? {
				version: resolution.version,
				path: text,
				commit: '',
				date: '',
				images: [{ service: reference.service ?? '', digest: resolution.digest, size: 0 }],
			}
		);
	}

	async function tryReference(typed: string, host: string): Promise<Trial> {
		const reference = typedReference(typed, [host, 'bh.cr', 'bhcr.io']);
		return { typed, reference, outcome: await outcomeOf(reference) };
	}

	async function outcomeOf(name: string): Promise<Trial['outcome']> {
		const reference = parseReference(name);
		switch (reference.kind) {
			case 'fleet':
				return app.resolver.resolve(reference, ANONYMOUS);
			case 'repository':
				return { kind: 'failure', message: `${name} is the registry's own name of an image, whose fleet is not known here` };
			case 'invalid':
				return { kind: 'failure', message: reference.message };
		}
	}
}

/** What stands before a name in `docker pull`. */
function hostOf(request: FastifyRequest): string {
	return request.publicOrigin().replace(/^https?:\/\//, '');
}

/** Sends a page, or "not modified" where the client has it. */
function sendPage(reply: FastifyReply, page: string, cacheControl?: string): FastifyReply {
	const etag = `"${hash('sha256', page, 'base64url')}"`;
	reply.headers({ ...HEADERS, etag, ...(cacheControl === undefined ? {} : { 'cache-control': cacheControl }) });
	if (reply.request.headers['if-none-match'] === etag && reply.statusCode === 200) {
		return reply.code(304).send();
	}
	return reply.send(page);
}
