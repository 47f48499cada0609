import { request, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { isInstalled, run, stopAll, waitForAnswer } from './processes.ts';
import { pull } from './pulls.ts';
import { withSpread } from './statistics.ts';
import { imageOf, startUpstream } from '../test/upstream/index.ts';
import { freePort, listen } from '../test/upstream/listen.ts';

/*
 * `npm run bench:cold`: the first pull of a name that nobody has asked for, by skopeo, with 20 ms added to each answer of the registry and the API: what waits for what, and
 * how long the whole takes beside the same pull from the registry itself. In front of the stand-in for the balena API.
 */

const ADDED_MS = 20;
const ROUNDS = 5;
const SLUG = 'acme/pinned';

interface Event {
	who: string;
	what: string;
	from: number;
	to: number;
}

if (!isInstalled('skopeo')) {
	console.error('the benchmark needs skopeo: apt-get install skopeo');
	process.exit(1);
}
const upstream = await startUpstream();
let events: Event[] = [];
const api = await timed('API', upstream.apiUrl, ADDED_MS, (text) => text);
// Challenges name the API; clients of the registry itself are to wait for it as the service does.
const registry = await timed('registry', upstream.registryUrl, ADDED_MS, (text) => text.replace(upstream.apiUrl, api.url));
const { repository } = imageOf(upstream, SLUG);

const cold: number[] = [];
const direct: number[] = [];
let timeline: Event[] = [];
for (let round = 0; round < ROUNDS; round++) {
	// A process of its own each time, which knows nothing but what it learns at its start.
	const port = await freePort();
	const service = run(process.execPath, [join(import.meta.dirname, '../src/server.ts')], {
		PROXY_HOST: '127.0.0.1',
		PROXY_PORT: String(port),
		API_URL: api.url,
		REGISTRY_URL: registry.url,
	});
	await waitForAnswer(`http://127.0.0.1:${port}/ready`);
	await wait(1000);
	const front = await timed('client', `http://127.0.0.1:${port}`, 0, (text) => text);
	events = [];
	cold.push(await pull({ url: front.url, image: SLUG }));
	timeline = events;
	direct.push(await pull({ url: registry.url, image: repository }));
	await front.close();
	await service.stop();
}
await Promise.all([api.close(), registry.close()]);
await upstream.close();
await stopAll();

const start = Math.min(...timeline.map(({ from }) => from));
console.log(
	`A first pull of ${SLUG} with skopeo, ${ADDED_MS} ms added to each answer of the API and the registry (the last of ${ROUNDS} rounds):\n`,
);
for (const { who, what, from, to } of timeline.toSorted((a, b) => a.from - b.from)) {
	console.log(
		`${ms(from - start)} to ${ms(to - start)} ms  ${who === 'client' ? '' : '    '}${who}: ${what.length > 100 ? `${what.slice(0, 100)}…` : what}`,
	);
}
console.log(
	`\nthrough the service ${withSpread(cold)} ms; from the registry itself, under the name that it has there, ${withSpread(direct)} ms`,
);

/** Passes everything on, with each answer later, and notes when. @param rewrite of header values */
async function timed(
	who: string,
	target: string,
	addedMs: number,
	rewrite: (text: string) => string,
): Promise<{ url: string; close: () => Promise<void> }> {
	const { server, url, close } = await listen();
	server.on('request', (req: IncomingMessage, res: ServerResponse) => {
		const event: Event = { who, what: `${req.method} ${decodeURIComponent(req.url ?? '')}`, from: performance.now(), to: Number.NaN };
		events.push(event);
		res.once('close', () => (event.to = performance.now()));
		const { host } = new URL(target);
		// Its own address where the client's is expected back, so that the next request comes here too.
		const headers = { ...req.headers, host: who === 'client' ? req.headers.host : host };
		const outgoing = request(target, { method: req.method, path: req.url, headers }, (incoming) => {
			void wait(addedMs).then(() => {
				const answered = Object.fromEntries(
					Object.entries(incoming.headers).map(([name, value]) => [name, typeof value === 'string' ? rewrite(value) : value]),
				);
				res.writeHead(incoming.statusCode ?? 502, answered);
				incoming.pipe(res);
			});
		});
		outgoing.on('error', () => res.destroy());
		req.pipe(outgoing);
	});
	return { url, close };
}

function ms(value: number): string {
	return value.toFixed(0).padStart(4);
}
