import type { FastifyBaseLogger } from 'fastify';
import { pino, symbols, type DestinationStream, type Logger } from 'pino';
import type { Config } from '../config.ts';
import type { LogDestination } from './log-destination.ts';

/**
 * Where credentials could stand, should a request or an error of balena-sdk ever be logged whole. No wildcards: they would cost
 * each line more than all the rest.
 */
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

/** pino's number for "info". */
const INFO = 30;

/**
 * What `logger.info(fields, message)` writes, for lines of plain texts and numbers that hold no secret, of which there is one for
 * each request. On Node 26 pino quotes each name and each text by itself, which takes five times as long as quoting all of them
 * at once.
 *
 * @param message without anything that has to be quoted
 * @returns a function that writes one line; fields that are undefined are left out
 */
export function lineWriter(logger: FastifyBaseLogger, message: string): (fields: Record<string, unknown>) => void {
	const own = logger as unknown as Logger & { [symbols.streamSym]?: DestinationStream & { lastLevel?: number } };
	const stream = own[symbols.streamSym];
	if (stream === undefined) {
		return (fields) => logger.info(fields, message);
	}
	const end = `,"msg":"${message}"}\n`;
	return (fields) => {
		if (own.levelVal <= INFO) {
			stream.lastLevel = INFO;
			stream.write(`{"level":${INFO},"time":${Date.now()},${JSON.stringify(fields).slice(1, -1)}${end}`);
		}
	};
}

function hasPretty(): boolean {
	try {
		return import.meta.resolve('pino-pretty') !== '';
	} catch {
		return false;
	}
}
