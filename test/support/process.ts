import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { processOptions } from './constants.ts';
import { inherited } from './guarded.ts';
import type { Line } from './expect.ts';

const SERVER = fileURLToPath(new URL('../../src/server.ts', import.meta.url));

/** The service in a process of its own, started as anybody would start it. */
export interface ServiceProcess {
	url: string;
	host: string;
	child: ChildProcess;
	/** Its log so far. */
	lines: Line[];
	/** Code and signal with which it ended. */
	ended: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
}

/** Starts `node src/server.ts`, or another script, on a free port, with settings by their environment variables and constants by their names. It is killed with the test, if it has not ended by then. */
export async function startProcess(
	t: TestContext,
	upstream: { apiUrl: string; registryUrl: string },
	env: Record<string, string> = {},
	script = SERVER,
): Promise<ServiceProcess> {
	const options = processOptions(env);
	const child = spawn(process.execPath, [...options.args, script], {
		env: {
			...inherited(),
			PROXY_HOST: '127.0.0.1',
			PROXY_PORT: '0',
			API_URL: upstream.apiUrl,
			REGISTRY_URL: upstream.registryUrl,
			...options.env,
		},
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	t.after(() => child.kill('SIGKILL'));
	const ended = once(child, 'exit') as ServiceProcess['ended'];
	const lines: Line[] = [];
	const url = await new Promise<string>((resolve, reject) => {
		let rest = '';
		child.stdout!.on('data', (chunk: Buffer) => {
			const texts = (rest + chunk.toString()).split('\n');
			rest = texts.pop()!;
			for (const line of texts.map((text) => JSON.parse(text) as Line)) {
				lines.push(line);
				const [, origin] = /listening at (http:\S+)/i.exec(line.msg) ?? [];
				if (origin !== undefined) {
					resolve(origin);
				}
			}
		});
		void ended.then(([code]) => reject(new Error(`the service ended with ${code}`)));
	});
	return { url, host: new URL(url).host, child, lines, ended };
}
