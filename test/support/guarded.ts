/** Where loopback-only.ts writes down what was tried. */
export const RECORD_VARIABLE = 'TEST_REACHED_OUT';

const PRELOAD = new URL('loopback-only.ts', import.meta.url).href;

/** The environment in which Node, and every Node that it starts, reaches loopback only. @param record file for what was tried besides */
export function guarded(record: string): Record<string, string> {
	return { NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import ${PRELOAD}`.trim(), [RECORD_VARIABLE]: record };
}

/** What a process with an environment of its own is given of this one's: the way to commands, and the guard. */
export function inherited(): Record<string, string> {
	return Object.fromEntries(
		['PATH', 'NODE_OPTIONS', RECORD_VARIABLE].flatMap((name) => {
			const value = process.env[name];
			return value === undefined ? [] : [[name, value]];
		}),
	);
}
