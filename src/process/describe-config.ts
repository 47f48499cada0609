import type { Config } from '../config.ts';

/** Values of which only the presence may be shown. */
const SECRETS: ReadonlySet<string> = new Set(['TOKEN_SECRET', 'REDIS_URL']);

/**
 * The effective configuration for the block that is printed at the start.
 *
 * @returns a line a setting, in the order of the schema; unset ones are left out and secrets masked
 */
export function describeConfig(config: Config): string[] {
	const entries = Object.entries(config).filter(([, value]) => value !== undefined);
	const width = Math.max(...entries.map(([name]) => name.length));
	return entries.map(([name, value]) => `${name.padEnd(width)}  ${SECRETS.has(name) ? '(set)' : describeValue(name, value)}`);
}

/** Durations are kept in milliseconds and were given in seconds. */
function describeValue(name: string, value: unknown): string {
	return /(_TTL|_TIMEOUT|_WINDOW|_DELAY)$/.test(name) ? `${Number(value) / 1000} s` : String(value);
}
