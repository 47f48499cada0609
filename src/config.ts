import { z } from 'zod';
import { CONSTANTS } from './constants.ts';
import { addresses, domain, egressProxy, file, host, hostList, oneOf, origin, seconds, trustProxy, whole } from './setting-kinds.ts';

/*
 * Every setting of the service: one schema is its type, its validation and its defaults, and says in its metadata what it
 * accepts, whether it is a duration and whether it is a secret. `.env.example` has the same list for people; what nobody has a
 * reason to set is in constants.ts. Durations are in seconds where a person sets them, and in milliseconds once they are parsed.
 */

const schema = z.object({
	/** Port to listen on. */
	PROXY_PORT: whole(0, 65535).prefault('80'),
	/** Address to listen on. */
	PROXY_HOST: z.string().min(1).prefault('::').meta({ accepts: 'an address to listen on' }),
	/** Domain of the balena installation; gives API_URL and REGISTRY_URL where those are not set. */
	DNS_TLD: domain.optional(),
	REGISTRY2_HOST: host.optional(),
	REGISTRY_URL: origin.optional(),
	API_HOST: host.optional(),
	API_URL: origin.optional(),
	/** How clients see this service, where it cannot be told from their requests. */
	PUBLIC_URL: origin.optional(),
	TRUST_PROXY: trustProxy.prefault('false'),
	/** Proxies through which the upstreams are asked, and hosts that are asked directly; also in lower case, as curl has them. */
	HTTP_PROXY: egressProxy.optional(),
	HTTPS_PROXY: egressProxy.optional(),
	NO_PROXY: hostList.optional(),
	LOG_LEVEL: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent').prefault('info'),
	/**
	 * What a tag behind `<org>/<fleet>` means: a release, if it names one, and else nothing; a release, or an error; nothing at
	 * all. See docs/tags.md.
	 */
	TAGS: z
		.enum(['lenient', 'strict', 'ignore', 'release'])
		// What `strict` was called before there was `lenient`.
		.transform((mode) => (mode === 'release' ? 'strict' : mode))
		.meta({ accepts: 'one of lenient, strict, ignore' })
		.prefault('lenient'),
	/** Whether `<org>/<block>` stands for the fleets `<org>/<block>-<architecture>`. See docs/architectures.md. */
	PLATFORM_INDEX: oneOf('on', 'off').prefault('on'),
	/** Key for credentials that travel sealed in tokens; the same for all replicas. */
	TOKEN_SECRET: z
		.string()
		.min(32)
		.meta({ accepts: 'at least 32 characters, hard to guess, such as the output of "openssl rand -base64 32"', isSecret: true })
		.optional(),
	/** Requests that one client address may make in a minute; 0 for no limit. */
	RATE_LIMIT_MAX: whole(0, 1e9).prefault('6000'),
	/** Addresses and networks without limits. */
	RATE_LIMIT_ALLOW: addresses.prefault(''),
	/** Redis or Valkey, so that all replicas count together. */
	REDIS_URL: z
		.string()
		.refine((text) => /^rediss?:$/.test(URL.parse(text)?.protocol ?? ''))
		.meta({ accepts: 'a redis or rediss URL, such as redis://user:password@redis:6379/0', isSecret: true })
		.optional(),
	/** For how long resolved references are remembered. */
	RESOLUTION_TTL: seconds().prefault('60'),
	/** For how much longer found references and anonymous tokens may be used while the API does not answer. */
	STALE_TTL: seconds().prefault('3600'),
	/** For how long anonymous tokens of the API are remembered at the most. */
	TOKEN_TTL: seconds().prefault('120'),
	/**
	 * For how long a token that the registry accepted for a repository is known to be; never beyond its own expiry. 0 asks the
	 * registry each time.
	 */
	AUTHORIZATION_TTL: seconds().prefault('120'),
	/** Bytes of manifests that are remembered; 0 for none. */
	MANIFEST_CACHE_BYTES: whole(0, 1e12).prefault('67108864'),
	/** For how long a blob's redirect is remembered at the most; never for more than half of the life its URL tells. 0 for not at all. */
	REDIRECT_TTL: seconds().prefault('60'),
	/**
	 * Whether to follow the registry's redirects of blobs and stream what is there, for clients that cannot reach it: off, only
	 * to https, or to http too.
	 */
	FOLLOW_REDIRECTS: oneOf('off', 'https', 'http').prefault('off'),
	/** Requests to the registry at once, running downloads included. */
	REGISTRY_CONNECTIONS: whole(1, 10_000).prefault('256'),
	/** Port of the Prometheus metrics; none unless it is set. */
	METRICS_PORT: whole(0, 65535).optional(),
	/** Pages for people with a browser. */
	LANDING_PAGE: oneOf('on', 'off').prefault('on'),
	/** Certificate and key in PEM files, for TLS without a balancer in front; read again when they change. */
	TLS_CERT: file.optional(),
	TLS_KEY: file.optional(),
	/** How long a connection on which nothing is asked is kept; longer than the balancer in front keeps its own. */
	KEEP_ALIVE_TIMEOUT: seconds(1).prefault('72'),
	/** How long to go on answering after SIGTERM, with readiness off, so that balancers look elsewhere first. */
	SHUTDOWN_DELAY: seconds().prefault('0'),
	/** How long running downloads may go on after SIGTERM. */
	SHUTDOWN_TIMEOUT: seconds().prefault('30'),
});

type Parsed = z.output<typeof schema>;
type Name = keyof typeof schema.shape;

/** The settings, and the constants beside them. */
export interface Config extends Omit<Parsed, 'API_URL' | 'REGISTRY_URL'>, Readonly<typeof CONSTANTS> {
	API_URL: string;
	REGISTRY_URL: string;
}

/** A setting that cannot be used; its message is one line that names the variable, the value and what is accepted. */
export class ConfigError extends Error {}

/** What the schema says of each setting, in its order. */
export const SETTINGS: ReadonlyMap<Name, z.core.GlobalMeta> = new Map(
	Object.entries(schema.shape).map(([name, type]) => [name as Name, metaOf(type)]),
);

/** Variables that are well known in either case. */
const IN_LOWER_CASE = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];
const DEFAULT_DOMAIN = 'balena-cloud.com';

/**
 * Reads the configuration from environment variables. Empty ones count as absent, as compose files produce them.
 *
 * @returns the settings, and the constants
 * @throws ConfigError for the first invalid value
 */
export function parseConfig(env: Record<string, string | undefined>): Config {
	const given = Object.fromEntries(
		Object.entries({ ...inLowerCase(env), ...env }).filter(
			([name, value]) => Object.hasOwn(schema.shape, name) && value !== undefined && value.trim() !== '',
		),
	);
	const result = schema.safeParse(given);
	if (!result.success) {
		const name = String(result.error.issues[0]?.path[0]) as Name;
		const { isSecret, accepts } = SETTINGS.get(name)!;
		const value = isSecret === true ? 'is set to a value that' : `is ${JSON.stringify(given[name] ?? '')}, which`;
		throw new ConfigError(`${name} ${value} cannot be used; accepted: ${accepts}`);
	}
	const parsed = result.data;
	if ((parsed.TLS_CERT === undefined) !== (parsed.TLS_KEY === undefined)) {
		throw new ConfigError(
			`${parsed.TLS_CERT === undefined ? 'TLS_KEY is set but TLS_CERT' : 'TLS_CERT is set but TLS_KEY'} is not; accepted: both, or neither`,
		);
	}
	const domain = parsed.DNS_TLD ?? DEFAULT_DOMAIN;
	return {
		...CONSTANTS,
		...parsed,
		// The order of the proxy before this one: the URL, then the domain, then the host alone.
		REGISTRY_URL:
			parsed.REGISTRY_URL ??
			originOf(parsed.DNS_TLD === undefined && parsed.REGISTRY2_HOST !== undefined ? parsed.REGISTRY2_HOST : `registry2.${domain}`),
		API_URL: parsed.API_URL ?? originOf(parsed.API_HOST ?? `api.${domain}`),
	};
}

function inLowerCase(env: Record<string, string | undefined>): Record<string, string | undefined> {
	return Object.fromEntries(IN_LOWER_CASE.map((name) => [name, env[name.toLowerCase()]]));
}

/** As undici names it, so that the two can be compared: in lower case, without the default port. */
function originOf(host: string): string {
	return new URL(`https://${host}`).origin;
}

/** The metadata of a type, below wrappers such as "optional". */
function metaOf(type: z.ZodType): z.core.GlobalMeta {
	let at: unknown = type;
	while (at instanceof z.ZodType && at.meta() === undefined) {
		at = (at.def as unknown as { innerType?: unknown }).innerType;
	}
	return (at instanceof z.ZodType ? at.meta() : undefined) ?? {};
}
