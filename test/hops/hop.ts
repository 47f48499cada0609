import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { writeSelfSigned } from '../support/self-signed.ts';
import { until } from '../support/until.ts';
import { freePort } from '../upstream/listen.ts';

/** A hop in front of the service, with TLS towards its clients. */
export interface Hop {
	port: number;
	/** One request, over a connection of its own. */
	ask(path: string, headers?: Record<string, string>): Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }>;
}

export interface Place {
	/** For its files; it has a certificate (`cert.pem`), its key (`key.pem`), and both in one (`both.pem`). */
	directory: string;
	port: number;
	/** Host and port of the service. */
	service: string;
}

/** @returns the first block of code below a heading of docs/balancers.md, with its addresses and paths put right for here. @throws where an address is not in it */
export function documented(heading: string, replacements: readonly (readonly [from: string | RegExp, to: string])[]): string {
	const page = readFileSync(new URL('../../docs/balancers.md', import.meta.url), 'utf8');
	const block = new RegExp(`^## ${heading}\\n[^]*?\`\`\`\\w*\\n([^]*?)\`\`\``, 'm').exec(page)?.[1] ?? '';
	return replacements.reduce((text, [from, to]) => {
		const replaced = text.replaceAll(from, to);
		if (replaced === text) {
			throw new Error(`docs/balancers.md has no ${String(from)} below "${heading}"`);
		}
		return replaced;
	}, block);
}

/**
 * Starts a hop, and ends it with the test.
 *
 * @param configure writes its configuration. @returns the command that runs it in the foreground, and its arguments
 */
export async function startHop(
	t: TestContext,
	service: string,
	configure: (place: Place) => [command: string, ...args: string[]],
): Promise<Hop> {
	const directory = mkdtempSync(join(tmpdir(), 'hop-'));
	const file = (name: string): string => join(directory, name);
	await writeSelfSigned({ cert: file('cert.pem'), key: file('key.pem') }, 'DNS:bh.cr');
	const ca = readFileSync(file('cert.pem'), 'utf8');
	writeFileSync(file('both.pem'), ca + readFileSync(file('key.pem'), 'utf8'));

	const port = await freePort();
	const [command, ...args] = configure({ directory, port, service });
	const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, HOME: directory } });
	let printed = '';
	child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
	child.stderr.on('data', (chunk: Buffer) => (printed += chunk.toString()));
	const exited = once(child, 'exit');
	t.after(async () => {
		// Not SIGKILL, after which nginx's worker would go on.
		child.kill();
		await exited;
		rmSync(directory, { recursive: true });
	});

	const hop: Hop = {
		port,
		async ask(path, headers = {}) {
			const outgoing = httpsRequest({
				host: '127.0.0.1',
				port,
				servername: 'bh.cr',
				ca,
				path,
				agent: false,
				headers: { host: `bh.cr:${port}`, ...headers },
			}).end();
			const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
			return { status: incoming.statusCode!, headers: incoming.headers, body: await buffer(incoming) };
		},
	};
	await until(async () => {
		if (child.exitCode !== null) {
			throw new Error(`${command} ended: ${printed}`);
		}
		return (await hop.ask('/ping').catch(() => undefined))?.status === 200;
	});
	return hop;
}
