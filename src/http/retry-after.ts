const MAX_SECONDS = 999_999;

/**
 * A `Retry-After` in the form that all clients read: RFC 9110 section 10.2.3 has seconds or a date.
 *
 * @param value the header of an upstream's
 * @param now milliseconds since the epoch
 * @returns whole seconds, at least 1 for a date; undefined where there is nothing that can be read
 */
export function retryAfterSeconds(value: string | string[] | undefined, now: number): string | undefined {
	const text = typeof value === 'string' ? value.trim() : '';
	if (/^\d{1,6}$/.test(text)) {
		return text;
	}
	// As RFC 9110 section 5.6.7 writes dates; `Date.parse` takes a lot more.
	const at = /^[A-Za-z]{3,9}, .* GMT$|^[A-Za-z]{3} [A-Za-z]{3} .{16}$/.test(text) ? Date.parse(text) : Number.NaN;
	return Number.isNaN(at) ? undefined : String(Math.min(MAX_SECONDS, Math.max(1, Math.ceil((at - now) / 1000))));
}
