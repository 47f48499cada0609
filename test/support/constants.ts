import { fileURLToPath } from 'node:url';
import { BOUNDS, CONSTANTS, DURATIONS } from '../../src/constants.ts';
import { parseConfig, type Config } from '../../src/config.ts';

type Env = Record<string, string>;

/** Takes the constants of src/constants.ts out of what a test sets by name: durations are in seconds there, as in settings. */
export function split(env: Env): { settings: Env; constants: Partial<typeof CONSTANTS> } {
	const settings: Env = {};
	const constants: Record<string, unknown> = {};
	for (const [name, text] of Object.entries(env)) {
		if (!Object.hasOwn(CONSTANTS, name)) {
			settings[name] = text;
		} else if (Object.hasOwn(DURATIONS, name)) {
			constants[name] = Math.round(Number(text) * 1000);
		} else {
			constants[name] = Array.isArray(BOUNDS[name as keyof typeof BOUNDS]) ? text.split(',') : Number(text);
		}
	}
	return { settings, constants: constants as Partial<typeof CONSTANTS> };
}

/** The configuration by names of settings and of constants. */
export function configOf(env: Env): Config {
	const { settings, constants } = split(env);
	return { ...parseConfig(settings), ...constants };
}

const PRELOAD = fileURLToPath(new URL('set-constants.ts', import.meta.url));

/** The same for a process of its own: what Node is to be started with before the name of the program, and its environment. */
export function processOptions(env: Env): { args: string[]; env: Env } {
	const { settings, constants } = split(env);
	return Object.keys(constants).length === 0
		? { args: [], env: settings }
		: { args: ['--import', PRELOAD], env: { ...settings, TEST_CONSTANTS: JSON.stringify(constants) } };
}
