import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { childOf, run, waitForAnswer, type Running } from './processes.ts';

/**
 * Starts nginx with one worker, with a configuration of its own: nothing of the machine's is read or written.
 *
 * @param directory for its files
 * @param http lines for the http block
 * @param url answers once it runs
 * @returns its worker, which does all the work
 */
export async function startNginx(directory: string, http: string, url: string): Promise<Running> {
	mkdirSync(directory, { recursive: true });
	// Started by root, the worker runs as another user.
	chmodSync(directory, 0o755);
	const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${join(directory, kind)};`);
	const file = join(directory, 'nginx.conf');
	writeFileSync(
		file,
		`daemon off;
worker_processes 1;
pid ${join(directory, 'nginx.pid')};
error_log stderr crit;
events { worker_connections 4096; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_timeout 300s;
	keepalive_requests 10000000;
	${temporary.join('\n\t')}
${http}
}
`,
	);
	const master = run('nginx', ['-c', file, '-p', directory, '-e', 'stderr']);
	await waitForAnswer(url);
	await wait(50);
	return { pid: childOf(master.pid), stop: master.stop };
}
