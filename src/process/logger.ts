import { pino, type Logger } from 'pino';
import type { Config } from '../config.ts';
import type { LogDestination } from './log-destination.ts';

/** Where credentials could stand, should a request or an error of balena-sdk ever be logged whole. No wildcards: they would cost each line more than all the rest. */
const SECRETS = [
	'authorization',
	'headers.authorization',
	'req.headers.authorization',
	'err.requestOptions',
	'error.requestOptions',
	'cause.requestOptions',
];

/**
 * @param destination where the lines of JSON go
 * @returns a logger of one JSON line an event; readable lines in a terminal, if pino-pretty is installed (it is for development only)
 */
export function createLogger(
	{ LOG_LEVEL }: Pick<Config, 'LOG_LEVEL'>,
	destination: LogDestination,
	isTerminal: boolean = process.stdout.isTTY,
): Logger {
	const options = { level: LOG_LEVEL, base: undefined, redact: SECRETS };
	if (isTerminal && hasPretty()) {
		return pino({ ...options, transport: { target: 'pino-pretty', options: { translateTime: 'HH:MM:ss' } } });
	}
	return pino(options, destination);
}

function hasPretty(): boolean {
	try {
		return import.meta.resolve('pino-pretty') !== '';
	} catch {
		return false;
	}
}
