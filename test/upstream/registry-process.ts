import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './listen.ts';

const START_ATTEMPTS = 5;

export interface RegistryProgram {
	/** Its command, or its path. */
	program: string;
	configFile: string;
	/** https://distribution.github.io/distribution/about/configuration/ (JSON is YAML). */
	configuration(port: number): object;
	/** Certificates, as PEM, by which it is known where it speaks TLS. */
	ca?: string;
	env?: Record<string, string>;
}

export interface RegistryProcess {
	url: string;
	port: number;
	close(): Promise<void>;
}

/**
 * Starts one of distribution's registries on 127.0.0.1.
 *
 * @param port a free one by default
 * @throws Error with what the registry wrote, when it does not come up
 */
export async function startRegistryProcess(registry: RegistryProgram, port?: number): Promise<RegistryProcess> {
	for (let attempt = 1; ; attempt++) {
		const chosen = port ?? (await freePort());
		writeFileSync(registry.configFile, JSON.stringify(registry.configuration(chosen)));
		try {
			return await run(registry, chosen);
		} catch (error) {
			const portWasTaken = error instanceof Error && error.message.includes('address already in use');
			if (!portWasTaken || attempt === START_ATTEMPTS) {
				throw error;
			}
		}
	}
}

async function run({ program, configFile, ca, env = {} }: RegistryProgram, port: number): Promise<RegistryProcess> {
	const url = `${ca === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
	// The shell ends the registry when its standard input closes, which also happens when this process is killed.
	const child = spawn('/bin/sh', ['-c', '"$0" serve "$1" & read _; kill $!; wait', program, configFile], {
		stdio: ['pipe', 'ignore', 'pipe'],
		env: { ...process.env, ...env },
	});
	const exited = once(child, 'exit');
	let output = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-4000)));
	const close = async (): Promise<void> => {
		child.stdin.end();
		await exited;
	};
	for (let waited = 0; waited < 10_000; waited += 20) {
		// A cache asks nobody for a token.
		if ([200, 401].includes((await statusOf(`${url}/v2/`, ca)) ?? 0)) {
			return { url, port, close };
		}
		if (/level=fatal|panic:/.test(output)) {
			break;
		}
		await sleep(20);
	}
	await close();
	throw new Error(`${program} did not start: ${output}`);
}

/** @returns undefined where nothing answers */
async function statusOf(url: string, ca: string | undefined): Promise<number | undefined> {
	return new Promise((resolve) => {
		const options = { agent: false } as const;
		const asked = ca === undefined ? httpRequest(url, options) : httpsRequest(url, { ...options, ca });
		asked
			.on('response', (answer) => {
				answer.resume();
				resolve(answer.statusCode);
			})
			.on('error', () => resolve(undefined))
			.end();
	});
}
