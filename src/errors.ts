/**
 * Errors in the registry's own words.
 *
 * Codes and body: OCI distribution-spec, "Error Codes"; HTTP statuses as distribution/distribution answers them. The last three
 * codes have no entry in the spec's table; distribution uses UNAVAILABLE and UNKNOWN for what goes wrong behind the registry.
 */
export const STATUS_OF_CODE = {
	BLOB_UNKNOWN: 404,
	DENIED: 403,
	DIGEST_INVALID: 400,
	MANIFEST_INVALID: 400,
	MANIFEST_UNKNOWN: 404,
	NAME_INVALID: 400,
	NAME_UNKNOWN: 404,
	PAGINATION_NUMBER_INVALID: 400,
	TAG_INVALID: 400,
	TOOMANYREQUESTS: 429,
	UNAUTHORIZED: 401,
	UNSUPPORTED: 405,
	UNAVAILABLE: 503,
	UNKNOWN: 500,
} as const;

export type ErrorCode = keyof typeof STATUS_OF_CODE;

export interface ErrorBody {
	errors: { code: ErrorCode; message: string }[];
}

/** What there can be too much of from one client, as metrics and the log call it. */
export type Limit = 'address' | 'login' | 'page' | 'name' | 'search';

export interface RegistryErrorOptions {
	/** HTTP status, where it differs from the code's own. */
	status?: number;
	headers?: Record<string, string>;
	/** What really happened, for the log only. */
	cause?: unknown;
	/** True where the sentence is meant for the person at the terminal, so that it has to survive clients that hide bodies. */
	forPeople?: boolean;
	/** Which upstream's queue was full, for the metrics. */
	overloaded?: 'api' | 'registry';
	/** Which limit refuses, likewise. */
	limit?: Limit;
}

/** An error that knows its own answer: code, status, message and headers of the HTTP response. */
export class RegistryError extends Error {
	readonly code: ErrorCode;
	readonly statusCode: number;
	readonly headers: Record<string, string>;
	readonly forPeople: boolean;
	readonly overloaded: 'api' | 'registry' | undefined;
	readonly limit: Limit | undefined;

	constructor(code: ErrorCode, message: string, options: RegistryErrorOptions = {}) {
		super(printable(message), { cause: options.cause });
		this.name = 'RegistryError';
		this.code = code;
		this.statusCode = options.status ?? STATUS_OF_CODE[code];
		this.headers = options.headers ?? {};
		this.forPeople = options.forPeople ?? false;
		this.overloaded = options.overloaded;
		this.limit = options.limit;
	}

	get body(): ErrorBody {
		return { errors: [{ code: this.code, message: this.message }] };
	}
}

/**
 * Clients print messages as they are, and parts of them are what the owner of a fleet has written: no controls, which terminals
 * obey, and no invisible characters.
 */
function printable(text: string): string {
	return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
}

export type Upstream = 'registry' | 'API';

/**
 * The error for an upstream that did not answer as it should.
 *
 * @param upstream which one, in the words of the person who reads the message
 * @param cause what undici or fetch threw; only its code decides, and only the log sees it
 * @returns 504 for time-outs, 502 for everything else, neither of which names an address; what caused it where that knows its own
 * answer already
 */
export function upstreamError(upstream: Upstream, cause: unknown): RegistryError {
	const known = causes(cause).find((error) => error instanceof RegistryError);
	if (known !== undefined) {
		return known;
	}
	return isTimeout(cause)
		? new RegistryError('UNAVAILABLE', `the balena ${upstream} did not answer in time; try again in a moment`, { status: 504, cause })
		: new RegistryError('UNAVAILABLE', `the balena ${upstream} could not be reached; try again in a moment`, { status: 502, cause });
}

/** The error for work that is refused because too much of it waits for an upstream already. `retryAfter` in seconds. */
export function overloadedError(overloaded: 'api' | 'registry', retryAfter = 1): RegistryError {
	return new RegistryError('UNAVAILABLE', 'the proxy is busy; try again in a moment', {
		headers: { 'retry-after': String(retryAfter) },
		overloaded,
	});
}

const TIMEOUT_CODES = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT']);

function isTimeout(error: unknown): boolean {
	return causes(error).some((at) => at.name === 'TimeoutError' || TIMEOUT_CODES.has((at as NodeJS.ErrnoException).code ?? ''));
}

/** An error, and what it says that caused it. */
function causes(error: unknown): Error[] {
	const found: Error[] = [];
	for (let at = error; at instanceof Error && found.length < 5; at = at.cause) {
		found.push(at);
	}
	return found;
}
