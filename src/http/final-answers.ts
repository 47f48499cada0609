import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { PassingHandler } from './passing-handler.ts';

/**
 * Most interim answers to one request. Each of them starts undici's wait for headers anew, so that without a bound a request
 * could last for ever.
 */
const MAX_INTERIM = 20;

/** Fields of one connection: RFC 9110 section 7.6.1, and older ones that are still sent. */
const HOP_BY_HOP = new Set([
	'connection',
	'keep-alive',
	'proxy-authenticate',
	'proxy-authentication-info',
	'proxy-connection',
	'te',
	'trailer',
	'transfer-encoding',
	'upgrade',
	// No name that an object can hold safely.
	'__proto__',
]);

/**
 * Fields that are lists and may come in several lines: RFC 9110 section 5.3, and `Set-Cookie`, which is an exception to it. Of
 * all others the first line counts, as in Node's own client.
 */
const LISTS = new Set([
	'accept-ranges',
	'allow',
	'cache-control',
	'content-encoding',
	'content-language',
	'link',
	'oci-filters-applied',
	'set-cookie',
	'vary',
	'via',
	'warning',
	'www-authenticate',
]);

/**
 * Only final answers pass, of a status from 200 to 599, and without what belongs to one connection. undici hands every interim
 * answer (1xx, RFC 9110 section 15.2) to its handlers as it does the final one, except 100, at which it closes the connection.
 *
 * @returns an interceptor for `compose`. A request whose answer cannot be one fails.
 */
export function finalAnswers(): Dispatcher.DispatcherComposeInterceptor {
	return (dispatch) => (options, handler) => dispatch(options, new FinalAnswer(handler));
}

class FinalAnswer extends PassingHandler {
	#interim = 0;

	override onResponseStart(
		controller: Dispatcher.DispatchController,
		status: number,
		headers: IncomingHttpHeaders,
		message?: string,
	): void {
		if (status >= 200 && status <= 599) {
			super.onResponseStart(controller, status, endToEnd(headers), message);
		} else if (status <= 101 || status > 599) {
			// 101 answers an `Upgrade`, which nobody sends here.
			throw new Error(`an answer with status ${status}, which cannot be`);
		} else if (++this.#interim > MAX_INTERIM) {
			throw new Error(`more than ${MAX_INTERIM} interim answers`);
		}
	}
}

/**
 * @param headers as undici has them: names in lower case, several lines of one name as a list
 * @returns those that are not of one connection, by their own or by `Connection`'s word; each with one value unless it is a list
 */
export function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
	const named = namedByConnection(headers.connection);
	const kept: IncomingHttpHeaders = {};
	for (const name in headers) {
		if (HOP_BY_HOP.has(name) || named?.has(name) === true) {
			continue;
		}
		const value = headers[name];
		kept[name] = Array.isArray(value) && !LISTS.has(name) ? value[0] : value;
	}
	return kept;
}

/** @returns the fields that a `Connection` header names; undefined for none, as nearly always */
function namedByConnection(connection: string | string[] | undefined): Set<string> | undefined {
	if (connection === undefined || connection === 'keep-alive' || connection === 'close') {
		return undefined;
	}
	return new Set(
		[connection]
			.flat()
			.join()
			.toLowerCase()
			.split(',')
			.map((name) => name.trim()),
	);
}
