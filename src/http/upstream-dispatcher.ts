import type { LookupFunction } from 'node:net';
import { Agent, buildConnector, EnvHttpProxyAgent, Pool, type Dispatcher } from 'undici';
import { askAgain, noteKeptConnections } from './ask-again.ts';
import { finalAnswers } from './final-answers.ts';

/** Proxies between this service and its upstreams, as the well-known variables of the same names tell them. */
export interface Egress {
	HTTP_PROXY?: string | undefined;
	HTTPS_PROXY?: string | undefined;
	NO_PROXY?: string | undefined;
}

export interface UpstreamOptions {
	/** The only origin that is asked; undefined where there are several. */
	origin?: string;
	/** Most connections, to each origin. */
	connections: number;
	/** Longest waits, in milliseconds: for a connection, for headers, and between two pieces of a body. */
	connectTimeout: number;
	headersTimeout?: number;
	bodyTimeout?: number;
	/** Longest body, in bytes. */
	maxResponseSize?: number;
	/** How names become addresses, where no proxy does that. */
	lookup?: LookupFunction;
}

export interface UpstreamDispatcher {
	/** Gives final answers only, and asks once more where a kept connection ended too early. More interceptors may be composed on it. */
	dispatcher: Dispatcher;
	/** How many requests were sent once more. */
	readonly repeated: number;
	/** Ends all connections and what is under way on them. */
	destroy(): Promise<void>;
}

/**
 * Connections to an upstream. Their certificates are verified whatever the environment says: `NODE_TLS_REJECT_UNAUTHORIZED=0` is
 * often set for something else, and would hand the credentials of all clients to whoever is in between. A CA of one's own is
 * added with `NODE_EXTRA_CA_CERTS`.
 *
 * HTTP/1.1, because undici's window for HTTP/2 lets some 256 KB through in a round trip, and all requests share one connection:
 * over 20 ms, 200 MB took 17 s instead of 0.8.
 */
export function upstreamDispatcher(options: UpstreamOptions, egress: Egress): UpstreamDispatcher {
	const base = connections(options, egress);
	let repeated = 0;
	return {
		dispatcher: base.compose(
			askAgain(
				() => connections({ ...options, connections: 1 }, egress),
				() => repeated++,
			),
			finalAnswers(),
		),
		get repeated() {
			return repeated;
		},
		destroy: () => base.destroy(),
	};
}

const VERIFIED = { rejectUnauthorized: true } as const;

function connections(
	{ origin, connectTimeout, lookup, ...limits }: UpstreamOptions,
	{ HTTP_PROXY, HTTPS_PROXY, NO_PROXY }: Egress,
): Dispatcher {
	const connect = buildConnector({ ...VERIFIED, allowH2: false, timeout: connectTimeout, ...(lookup === undefined ? {} : { lookup }) });
	const pool = (to: string | URL, given?: { connect?: unknown }): Pool =>
		new Pool(to, {
			...limits,
			allowH2: false,
			connect: noteKeptConnections((given?.connect as buildConnector.connector | undefined) ?? connect),
		});
	if (HTTP_PROXY === undefined && HTTPS_PROXY === undefined) {
		return origin === undefined ? new Agent({ factory: pool }) : pool(origin);
	}
	return new EnvHttpProxyAgent({
		factory: pool,
		allowH2: false,
		connect,
		proxyTls: { ...VERIFIED, allowH2: false, timeout: connectTimeout },
		requestTls: { ...VERIFIED, allowH2: false, timeout: connectTimeout },
		// Its answer to CONNECT is part of connecting.
		clientFactory: (to: string | URL, given: object) => new Pool(to, { ...given, allowH2: false, headersTimeout: connectTimeout }),
		// Empty, because undici looks into the environment itself for what is undefined.
		httpProxy: HTTP_PROXY ?? '',
		httpsProxy: HTTPS_PROXY ?? '',
		noProxy: NO_PROXY ?? '',
	} as ConstructorParameters<typeof EnvHttpProxyAgent>[0]);
}
