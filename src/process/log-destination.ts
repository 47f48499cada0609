import { pino, type DestinationStream } from 'pino';
import { setTimeout as wait } from 'node:timers/promises';

/** Lines are written in pieces of this many bytes: one write for each line was a fifth of all processor time from memory. */
const PIECE_BYTES = 8192;
/** How long a line of every day may wait for its piece to fill, in milliseconds. */
const LONGEST_WAIT_MS = 200;
/** What may wait for a reader that does not read, in bytes. Whatever comes beyond that is dropped and counted. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** pino's number for "warn": from here on a line goes out at once. */
const URGENT_LEVEL = 40;
/** How long the end of the process waits for a reader that does not read, in milliseconds. */
const LAST_WAIT_MS = 1000;

export interface LogDestination extends DestinationStream {
	/** How many lines were dropped because nobody read the ones before. */
	readonly dropped: number;
	/**
	 * Writes what still waits. Resolves when it is out, and at the latest after a second: then the rest is given up, so that the
	 * end of the process does not hang on its reader.
	 */
	end(): Promise<void>;
}

/**
 * Where log lines go: standard output, several in one write and never in the way of a request. Lines from "warn" up are written
 * at once, with what came before them.
 *
 * pino itself writes the rest when the process ends, and goes on without a log where the reader has closed the pipe.
 */
export function logDestination(): LogDestination {
	const buffer = pino.destination({
		// Node makes a pipe non-blocking when it opens it as a stream. A write that blocks in a thread would hold up the end of
		// the process for ever.
		dest: process.stdout.fd,
		sync: false,
		minLength: PIECE_BYTES,
		periodicFlush: LONGEST_WAIT_MS,
		maxLength: MAX_WAITING_BYTES,
		// Texts it would join and measure anew with each line, which takes longer than to make the line.
		contentMode: 'buffer',
	});
	let dropped = 0;
	buffer.on('drop', () => dropped++);
	const destination = {
		// pino tells a stream with this symbol the level of each line before it writes it.
		[Symbol.for('pino.metadata')]: true,
		lastLevel: 0,
		write(line: string): void {
			buffer.write(Buffer.from(line) as never);
			if (destination.lastLevel >= URGENT_LEVEL) {
				buffer.flush();
			}
		},
		get dropped() {
			return dropped;
		},
		async end(): Promise<void> {
			const flushed = new Promise<void>((resolve) => buffer.flush(() => resolve()));
			await Promise.race([flushed, wait(LAST_WAIT_MS, undefined, { ref: false }).then(() => buffer.destroy())]);
		},
	};
	return destination;
}
