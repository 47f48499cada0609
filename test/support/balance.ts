import { request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import type { Proxy } from './proxy.ts';
import { listen } from '../upstream/listen.ts';

/**
 * A balancer of the plainest kind. `Host` is left as it is, so that challenges lead back here.
 *
 * @param choose which replica gets a request, the nth one
 * @returns where it listens until the test ends
 */
export async function balance(
	t: TestContext,
	replicas: Pick<Proxy, 'url'>[],
	choose: (request: IncomingMessage, n: number) => number,
): Promise<{ url: string; host: string }> {
	const { server, url, close } = await listen();
	t.after(close);
	let n = 0;
	server.on('request', (req: IncomingMessage, res: ServerResponse) => {
		const outgoing = request(replicas[choose(req, n++)]!.url, { method: req.method, path: req.url, headers: req.headers }, (incoming) => {
			res.writeHead(incoming.statusCode!, incoming.statusMessage, incoming.headers);
			incoming.pipe(res);
		});
		outgoing.once('error', () => res.destroy());
		req.pipe(outgoing);
	});
	return { url, host: new URL(url).host };
}
