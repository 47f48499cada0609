import { spawn } from 'node:child_process';

export interface Outcome {
	code: number;
	/** What a person would have read: standard output and error, in the order in which they came. */
	printed: string;
}

export interface Finished extends Outcome {
	/** Standard output alone, for what is to be read by a program. */
	stdout: string;
}

/** Runs a client to its end. @param seconds after which it is killed */
export async function run(
	command: string,
	args: string[],
	{ env = {}, seconds = 60, input }: { env?: Record<string, string>; seconds?: number; input?: string } = {},
): Promise<Finished> {
	const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'], timeout: seconds * 1000 });
	let [printed, stdout] = ['', ''];
	child.stdout.on('data', (chunk: Buffer) => {
		printed += chunk.toString();
		stdout += chunk.toString();
	});
	child.stderr.on('data', (chunk: Buffer) => (printed += chunk.toString()));
	// A client may end without having read what it was given.
	child.stdin.on('error', () => undefined);
	child.stdin.end(input);
	return new Promise((resolve, reject) => {
		child.once('error', reject);
		child.once('close', (code) => resolve({ code: code ?? -1, printed, stdout }));
	});
}
