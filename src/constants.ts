/*
 * What an operator has no reason to set, in one place and with the reason for each value. Durations are in milliseconds, sizes in
 * bytes. They are part of the configuration object, so that a test can have others; no environment variable reaches them.
 */

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** In milliseconds. */
export const DURATIONS = {
	/** `RATE_LIMIT_MAX` is for one minute: long enough for the bursts of a pull, and nobody who met the limit waits longer. */
	RATE_LIMIT_WINDOW: MINUTE,
	/**
	 * Failed logins are forgotten after five minutes: a script with an old key asks the API six times a minute at the most, and
	 * whoever mends it need not wait long.
	 */
	LOGIN_FAILURES_WINDOW: 5 * MINUTE,
	/**
	 * A name that means nothing may mean something soon: a build ends, a fleet is made public. Never longer than RESOLUTION_TTL,
	 * which switches both off.
	 */
	RESOLUTION_FAILURE_TTL: 10 * SECOND,
	/** A release's repository has one tag, which hardly ever moves. MANIFEST_CACHE_BYTES=0 switches the memory off. */
	MANIFEST_TAG_TTL: MINUTE,
	/** For a whole answer of the API, its queue included: Docker gives up a token request after 15 seconds without headers. */
	API_TIMEOUT: 15 * SECOND,
	/**
	 * For all that a ping, a login or a token waits for, whatever is asked for it: moby and balena-engine give up at 15 seconds
	 * (registry/auth.go), and then show a sentence of their own instead of ours.
	 */
	LOGIN_TIMEOUT: 12 * SECOND,
	/** For a connection to the registry, and for a place among those that there are: undici's own default. */
	REGISTRY_CONNECT_TIMEOUT: 10 * SECOND,
	/** For the beginning of the registry's answer: containerd waits 30 seconds, and should read an error rather than none. */
	REGISTRY_HEADERS_TIMEOUT: 25 * SECOND,
	/**
	 * Longest `Retry-After` of a manifest's 429 or 503 that is waited for here: neither moby nor balena-engine asks again, and
	 * most say one second or more than ten.
	 */
	MANIFEST_PATIENCE: 3 * SECOND,
	/** Between two pieces of a body of the registry's: object storage that stands still for a minute does not go on. */
	REGISTRY_BODY_TIMEOUT: MINUTE,
	/** For a client to send a request, headers and body: 16 KB, even by a modem. */
	CLIENT_TIMEOUT: 20 * SECOND,
	/**
	 * How long a connection may stand still in both directions: longer than all waits for upstreams together. A client that takes
	 * nothing loses what it asked for.
	 */
	IDLE_TIMEOUT: 5 * MINUTE,
};

/** Counts, and everything else. */
export const BOUNDS = {
	/**
	 * Failed logins with one pair of credentials in LOGIN_FAILURES_WINDOW, and ten times as many from one address; 0 for no
	 * limit. Nobody mistypes thirty times.
	 */
	LOGIN_FAILURES_MAX: 30,
	/**
	 * Resolved references that are remembered, of less than 1 KB each: more than are pulled within RESOLUTION_TTL where one
	 * process is enough.
	 */
	RESOLUTION_CACHE_SIZE: 10_000,
	/** Anonymous tokens of the API that are remembered, of 1 to 2 KB each. */
	TOKEN_CACHE_SIZE: 2000,
	/** Requests to the API at once. Each costs it database queries; more would only wait there instead of here. */
	API_CONCURRENCY: 32,
	/** Requests that may wait for the API, a few KB each: what 32 at once can answer within API_TIMEOUT at half a second each. */
	API_QUEUE: 1000,
	/** Requests that may wait for the registry, for REGISTRY_CONNECT_TIMEOUT at the most. */
	REGISTRY_QUEUE: 1000,
	/**
	 * Manifests that may wait so at once: as many more requests in a second or three, a quarter of REGISTRY_CONNECTIONS, are no
	 * burden to a registry.
	 */
	MANIFEST_WAITS: 64,
	/**
	 * Loopback and link-local networks to which FOLLOW_REDIRECTS may lead all the same. None: object storage is elsewhere, but in
	 * tests.
	 */
	FOLLOW_REDIRECTS_ALLOW: [] as string[],
};

/** All of them; see `parseConfig`. */
export const CONSTANTS = { ...DURATIONS, ...BOUNDS };
