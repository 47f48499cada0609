import { ZodError } from 'zod';
import { upstreamError } from '../errors.ts';

/**
 * Reads an answer of the OData API.
 *
 * @param parser one of those that throw a ZodError for what is not of the expected form
 * @throws RegistryError 502 for such an answer, which is the API's fault and says nothing of it to a client
 */
export function parseAnswer<T>(parser: (rows: unknown) => T, rows: unknown): T {
	try {
		return parser(rows);
	} catch (error) {
		throw error instanceof ZodError
			? upstreamError('API', new Error('the answer of the OData API has an unexpected form', { cause: error }))
			: error;
	}
}
