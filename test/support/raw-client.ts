import { connect, type Socket } from 'node:net';

/** One answer, as it came over the wire. */
export interface RawAnswer {
	status: number;
	headers: Record<string, string>;
	body: string;
}

/** What came back on a connection. */
export interface RawOutcome {
	answers: RawAnswer[];
	/** All bytes, for what is no answer. */
	text: string;
}

/**
 * Sends bytes as they are and collects what comes back until the server ends the connection. A last request with `Connection: close` makes it.
 *
 * @param pieces are sent one after another
 */
export async function sendRaw({ url }: { url: string }, ...pieces: string[]): Promise<RawOutcome> {
	const socket = connectTo({ url });
	let text = '';
	socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
	for (const piece of pieces) {
		socket.write(piece, 'latin1');
	}
	await new Promise<void>((resolve) => socket.on('error', () => resolve()).once('close', () => resolve()));
	return { answers: parseAnswers(text), text };
}

export function connectTo({ url }: { url: string }): Socket {
	return connect(Number(new URL(url).port), '127.0.0.1');
}

/** Answers in a row. Every one of this service has a length; Node's own to a request without Host has an empty body in chunks. */
function parseAnswers(text: string): RawAnswer[] {
	const answers: RawAnswer[] = [];
	for (let at = 0; at < text.length;) {
		const end = text.indexOf('\r\n\r\n', at);
		const [first = '', ...lines] = text.slice(at, end).split('\r\n');
		const status = /^HTTP\/1\.[01] (\d{3}) /.exec(first)?.[1];
		if (end < 0 || status === undefined) {
			throw new Error(`no answer begins at ${at} of ${JSON.stringify(text.slice(0, 2000))}`);
		}
		const headers = Object.fromEntries(
			lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
		);
		const length = Number(headers['content-length'] ?? 0);
		answers.push({ status: Number(status), headers, body: text.slice(end + 4, end + 4 + length) });
		at = end + 4 + (headers['transfer-encoding'] === 'chunked' ? '0\r\n\r\n'.length : length);
	}
	return answers;
}
