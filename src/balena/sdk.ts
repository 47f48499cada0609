import { setGlobalDispatcher, type Dispatcher } from 'undici';
import { overloadedError } from '../errors.ts';
import { FairQueue } from '../fair-queue.ts';
import { upstreamDispatcher, type Egress, type UpstreamDispatcher } from '../http/upstream-dispatcher.ts';

/** The part of balena-sdk that is used: one OData query, with credentials a call. */
export interface Pine {
	get(query: { resource: string; options: Record<string, unknown>; passthrough: Record<string, unknown> }): Promise<unknown>;
}

/**
 * Largest answer of the API, in bytes. A resolution's is a few KB; the largest fleet's list some 100 KB. Parsed, it takes ten
 * times as much.
 */
const MAX_ANSWER_BYTES = 1024 * 1024;
/** Of all answers together that are being read: half of them one, a third each two, and so on, so that a few KB always fit. */
const MAX_ANSWERS_BYTES = 8 * 1024 * 1024;

/** Most connections of the SDK; how many of them there are is bounded where it is called. */
const MAX_CONNECTIONS = 64;

/**
 * The SDK's connections to the API, of which answers are bounded, plain and final.
 *
 * @param apiUrl origin of the balena API
 * @param timeoutMs the longest wait for one answer
 * @param userAgent who asks, in place of the SDK's own
 */
export function sdkDispatcher(apiUrl: string, timeoutMs: number, userAgent: string, egress: Egress): UpstreamDispatcher {
	const upstream = upstreamDispatcher(
		{
			connections: MAX_CONNECTIONS,
			connectTimeout: timeoutMs,
			headersTimeout: timeoutMs,
			bodyTimeout: timeoutMs,
			maxResponseSize: MAX_ANSWER_BYTES,
		},
		egress,
	);
	const dispatcher = upstream.dispatcher.compose(plainAnswersOnly(apiUrl, userAgent));
	return {
		dispatcher,
		get repeated() {
			return upstream.repeated;
		},
		destroy: () => upstream.destroy(),
	};
}

/**
 * Loads balena-sdk, which costs some 150 ms and 20 MB, and so is not imported with the rest.
 *
 * @param apiUrl origin of the balena API
 * @param dispatcher becomes the one of the global fetch, which the SDK uses, because it offers no other place
 */
export async function loadPine(apiUrl: string, dispatcher: Dispatcher): Promise<Pine> {
	setGlobalDispatcher(dispatcher);
	const { getSdk } = (await import('balena-sdk')).default;
	// dataDirectory: false, or the SDK reads and writes a login of its own in the home directory.
	const { pine } = getSdk({ apiUrl: `${apiUrl}/`, dataDirectory: false, apiVersion: 'v7' } as Parameters<typeof getSdk>[0]);
	return pine as unknown as Pine;
}

/**
 * Refuses redirects and compressed answers of the API: the first could lead credentials and requests elsewhere, the second could
 * unpack to any size. The API does neither to a client that asks for plain answers. Whatever else uses the global fetch is left
 * alone.
 */
function plainAnswersOnly(apiUrl: string, userAgent: string): Dispatcher.DispatcherComposeInterceptor {
	const answers = new FairQueue({ capacity: MAX_ANSWERS_BYTES, queue: 0, refusal: () => overloadedError('api') });
	let count = 0;
	return (dispatch) => (options, handler) => {
		if (String(options.origin) !== apiUrl) {
			return dispatch(options, handler);
		}
		const name = String(++count);
		return dispatch(
			{ ...options, headers: plainHeaders(options.headers as Record<string, string>, userAgent) },
			{
				onRequestStart: (...event) => handler.onRequestStart?.(...event),
				onRequestUpgrade: (...event) => handler.onRequestUpgrade?.(...event),
				onResponseStart: (controller, status, headers, message) => {
					const encoding = headers['content-encoding'] ?? 'identity';
					if ((status >= 300 && status < 400) || encoding !== 'identity') {
						throw new Error(`unexpected answer of the balena API: status ${status}, content-encoding ${String(encoding)}`);
					}
					handler.onResponseStart?.(controller, status, headers, message);
				},
				onResponseData: (controller, chunk) => {
					if (!answers.take(name, chunk.length)) {
						throw overloadedError('api');
					}
					handler.onResponseData?.(controller, chunk);
				},
				onResponseEnd: (...event) => {
					answers.release(name, answers.heldBy(name));
					handler.onResponseEnd?.(...event);
				},
				onResponseError: (...event) => {
					answers.release(name, answers.heldBy(name));
					handler.onResponseError?.(...event);
				},
			},
		);
	};
}

/** The SDK asks for compressed answers under a name in another case, beside which a second header would not count. */
function plainHeaders(headers: Record<string, string>, userAgent: string): Record<string, string> {
	return {
		...Object.fromEntries(Object.entries(headers).filter(([name]) => !/^(accept-encoding|user-agent)$/i.test(name))),
		'accept-encoding': 'identity',
		'user-agent': userAgent,
	};
}
