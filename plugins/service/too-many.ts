import { RegistryError } from '../../src/errors.ts';

/** @param retryAfterMs when to try again */
export function tooMany(message: string, retryAfterMs?: number): RegistryError {
	return new RegistryError('TOOMANYREQUESTS', message, {
		forPeople: true,
		headers: retryAfterMs === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) },
	});
}
