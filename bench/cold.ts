import { writeFileSync } from 'node:fs';
import { request, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { builtService } from './built-service.ts';
import { needPrograms, run, stopAll, waitForAnswer } from './processes.ts';
import { pull } from './pulls.ts';
import { withSpread } from './statistics.ts';
import { imageOf, startUpstream } from '../test/upstream/index.ts';
import { freePort, listen } from '../test/upstream/listen.ts';

/*
 * `npm run bench:cold`: the first pull of a name that nobody has asked for, by skopeo, with 20 ms added to each answer of the
 * registry and the API: what waits for what, and how long the whole takes beside the same pull from the registry itself. In front
 * of the stand-in for the balena API. Writes docs/reports/cold.md.
 */

const ADDED_MS = 20;
const ROUNDS = 5;
/** Until balena-sdk is loaded, which takes some 200 ms and which a pull in the first seconds of a process waits for. */
const SETTLE_MS = 6000;
const SLUG = 'acme/pinned';

interface Event {
	who: string;
	what: string;
	from: number;
	to: number;
}

needPrograms(['skopeo']);
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
	const service = run(process.execPath, [builtService()], {
		PROXY_HOST: '127.0.0.1',
		PROXY_PORT: String(port),
		API_URL: api.url,
		REGISTRY_URL: registry.url,
	});
	await waitForAnswer(`http://127.0.0.1:${port}/ready`);
	await wait(SETTLE_MS);
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
const lines = timeline
	.toSorted((a, b) => a.from - b.from)
	.map(({ who, what, from, to }) => {
		const indent = who === 'client' ? '' : '    ';
		return `${ms(from - start)} to ${ms(to - start)} ms  ${indent}${who}: ${what.length > 100 ? `${what.slice(0, 100)}…` : what}`;
	});
const text = `# A first pull

What \`npm run bench:cold\` measured: the first pull of a name that nobody has asked for, with skopeo, where each answer of the API and the registry takes ${ADDED_MS} ms more than theirs. Its last of ${ROUNDS} rounds:

\`\`\`
${lines.join('\n')}
\`\`\`

Through the service: ${withSpread(cold)} ms. From the registry itself, under the name that it has there: ${withSpread(direct)} ms (medians, with the least and the most in brackets).

The registry's name for itself is learned when the service starts, and asked for by no pull. What a pull through the service has to wait for beyond one from the registry is one query: which release the name means. The token is for that release's
repositories, and the manifest needs the token, so that neither can begin before. In the first seconds of a process, before balena-sdk is loaded, a pull waits for that too, some 200 ms.
`;
console.log(text);
writeFileSync('docs/reports/cold.md', text);

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
