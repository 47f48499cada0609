import { SETTINGS, type Config } from '../config.ts';

/**
 * The effective configuration for the block that is printed at the start.
 *
 * @returns a line a setting, in the order of the schema; unset ones are left out and secrets masked
 */
export function describeConfig(config: Config): string[] {
	const set = [...SETTINGS].filter(([name]) => config[name] !== undefined);
	const width = Math.max(...set.map(([name]) => name.length));
	return set.map(([name, { isSecret, isDuration }]) => {
		const value = isSecret === true ? '(set)' : isDuration === true ? `${Number(config[name]) / 1000} s` : String(config[name]);
		return `${name.padEnd(width)}  ${value}`;
	});
}
