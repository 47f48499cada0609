import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { lruCache } from '../../src/lru.ts';
import { allSealedFor, fixedGrant, repositoriesOf, resolvedGrant, type Grant } from '../../src/token/grant.ts';
import { RegistryError } from '../../src/errors.ts';
import { within } from '../../src/within.ts';
import { answerLater } from '../service/answer-later.ts';
import { asRegistryError, sendError } from '../service/errors.ts';
import type { Caller } from '../../src/balena/caller.ts';
import { parseReference } from '../../src/balena/reference.ts';
import type { Config } from '../../src/config.ts';
import { asksToPull, pullScope } from '../../src/registry/scope.ts';
import { queryOf } from '../../src/http/request-target.ts';
import { formatToken } from '../../src/token/client-token.ts';
import { checkForm, parseTokenForm, parseTokenQuery, type TokenRequest } from '../../src/token/token-request.ts';
import { clientOf } from '../service/client-of.ts';
import { SEALED_LIFE_MS } from './sealed-credentials.ts';
import { TOKEN_PATH } from '../upstreams/challenge.ts';

/** Most names in one request for a token, which all have to be resolved. */
const MAX_NAMES = 8;
const MAX_ANSWERS = 1000;
const ANSWER_MS = 2000;
const MAX_FORM_BYTES = 64 * 1024;
/** What the token spec and the clients take as the shortest life of a token, in seconds. */
const MIN_EXPIRES_IN = 60;

/** An answer, and whether its token is good for all that was found. */
interface Issued {
	bytes: Buffer;
	isComplete: boolean;
}

/** The token endpoint: friendly names in, a token for the repositories behind them out. */
export default fp(tokenEndpoint, {
	name: 'token-endpoint',
	encapsulate: true,
	dependencies: ['request-log', 'errors', 'rate-limit', 'login-limit', 'resolver', 'upstream-tokens', 'sealed-credentials'],
});

async function tokenEndpoint(app: FastifyInstance, config: Config): Promise<void> {
	app.addContentTypeParser(
		'application/x-www-form-urlencoded',
		{ parseAs: 'string', bodyLimit: MAX_FORM_BYTES },
		(_request, body, done) => {
			done(null, new URLSearchParams(body as string));
		},
	);

	const options = { config: { kind: 'token' } } as const;
	// Whole answers for anonymous callers, who all get the same: for so short a time that it adds nothing to what RESOLUTION_TTL
	// and TOKEN_TTL already allow to be old. `expires_in` counts from `issued_at`, so that it stays right.
	const isRemembering = config.TOKEN_TTL > ANSWER_MS && config.RESOLUTION_TTL > ANSWER_MS;
	const answers = isRemembering
		? lruCache<{ name: string | undefined; bytes: Buffer }>(Math.min(MAX_ANSWERS, config.RESOLUTION_CACHE_SIZE, config.TOKEN_CACHE_SIZE), {
				ttl: ANSWER_MS,
				ttlResolution: 0,
			})
		: undefined;

	app.upstreamTokens.onForget.push(() => answers?.clear());

	app.get(TOKEN_PATH, options, (request, reply) => {
		const known = request.headers.authorization === undefined ? answers?.get(request.raw.url ?? '') : undefined;
		if (known === undefined) {
			answerLater(reply, answerQuery(request, reply));
			return;
		}
		request.facts.name = known.name;
		request.facts.cache = 'hit';
		sendAnswer(known.bytes, reply);
	});
	async function answerQuery(request: FastifyRequest, reply: FastifyReply): Promise<void> {
		const { authorization } = request.headers;
		const url = request.raw.url ?? '';
		const answer = await inTime(issueToken(parseTokenQuery(queryOf(url), authorization), request, reply));
		if (authorization === undefined && answer.isComplete) {
			answers?.set(url, { name: request.facts.name, bytes: answer.bytes });
		}
		sendAnswer(answer.bytes, reply);
	}
	const readableOnly = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
		try {
			checkForm(request.headers);
		} catch (error) {
			// What the client sends is not read, so the connection cannot be used again.
			reply.header('connection', 'close');
			throw error;
		}
	};
	app.post(TOKEN_PATH, { ...options, preParsing: readableOnly }, (request, reply) => {
		answerLater(reply, answerForm(request, reply));
	});
	async function answerForm(request: FastifyRequest, reply: FastifyReply): Promise<void> {
		const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
		const { bytes } = await inTime(issueToken(parseTokenForm(form, request.headers.authorization), request, reply));
		sendAnswer(bytes, reply);
	}

	/** Each wait has its own end, but not all of them together. What is still asked for is given up with the client's request. */
	const inTime = <T>(work: Promise<T>): Promise<T> =>
		within(
			config.LOGIN_TIMEOUT,
			work,
			() => new RegistryError('UNAVAILABLE', 'the balena API or registry did not answer in time; try again in a moment', { status: 504 }),
		);

	// RFC 9110 section 11.6.1: a 401 says how to do better. Clients of registries look for "Bearer" only, and do not mind.
	app.setErrorHandler((error: FastifyError | RegistryError, request, reply) => {
		const known = asRegistryError(error);
		if (known.statusCode === 401) {
			reply.header('www-authenticate', 'Basic realm="any user name, and a balena API key as the password"');
		}
		sendError(known, request, reply);
	});

	async function issueToken({ caller: anybody, scopes }: TokenRequest, request: FastifyRequest, reply: FastifyReply): Promise<Issued> {
		const caller: Caller = { ...anybody, client: clientOf(request, reply) };
		const names = [...new Set(scopes.filter(asksToPull).map((scope) => scope.name))];
		request.facts.name = names.slice(0, MAX_NAMES).join(' ');
		if (names.length > MAX_NAMES) {
			throw new RegistryError('UNSUPPORTED', `a token is for at most ${MAX_NAMES} names`, { status: 400 });
		}
		try {
			return await app.loginLimit.attempt(request, caller, () => answerFor(names, caller), isLoginRefusal);
		} catch (error) {
			if (isLoginRefusal(error)) {
				forgetAll(names, caller);
			}
			throw error;
		}
	}

	async function answerFor(names: string[], caller: Caller): Promise<Issued> {
		const grants = new Map(await Promise.all(names.map(async (name) => [name, await grantFor(name, caller)] as const)));
		const repositories = [...grants.values()].flatMap(repositoriesOf);
		const upstream = await app.upstreamTokens.get(repositories, caller);
		const sealed = app.sealedCredentials.seal(caller, [...new Set([...grants.values()].flatMap(allSealedFor))]);
		const token = formatToken({ upstream: upstream.text, grants, sealed });
		const now = Date.now();
		const expiresAt = Math.min(upstream.expiresAt ?? now, sealed === undefined ? Infinity : now + SEALED_LIFE_MS);
		const answer = {
			token,
			access_token: token,
			expires_in: Math.max(MIN_EXPIRES_IN, Math.floor((expiresAt - now) / 1000)),
			issued_at: new Date(now).toISOString(),
			scope: names.map(pullScope).join(' '),
		};
		return { bytes: Buffer.from(JSON.stringify(answer)), isComplete: upstream.isComplete };
	}

	async function grantFor(name: string, caller: Caller): Promise<Grant> {
		const reference = parseReference(name);
		return reference.kind === 'fleet' ? resolvedGrant(reference, await app.resolver.resolve(reference, caller)) : fixedGrant(reference);
	}

	function forgetAll(names: string[], caller: Caller): void {
		for (const reference of names.map(parseReference)) {
			if (reference.kind === 'fleet') {
				app.resolver.forget(reference, caller);
			}
		}
	}
}

function isLoginRefusal(error: unknown): boolean {
	return error instanceof RegistryError && error.code === 'UNAUTHORIZED';
}

function sendAnswer(bytes: Buffer, reply: FastifyReply): void {
	reply.header('cache-control', 'no-store').header('content-type', 'application/json').send(bytes);
}
