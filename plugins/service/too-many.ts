import { RegistryError, type Limit } from '../../src/errors.ts';

/** @param retryAfterMs when to try again @param limit which one refuses, where the request does not know already */
export function tooMany(message: string, retryAfterMs?: number, limit?: Limit): RegistryError {
	return new RegistryError('TOOMANYREQUESTS', message, {
		forPeople: true,
		headers: retryAfterMs === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) },
		...(limit === undefined ? {} : { limit }),
	});
}
