import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { symbols } from 'pino';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { CacheCounts } from '../../src/cache.ts';
import type { Config } from '../../src/config.ts';
import type { LogDestination } from '../../src/process/log-destination.ts';
import { listenOn } from '../../src/process/listen.ts';
import { bytesSent, statusSent } from '../service/request-log.ts';
import { countUpstreams, type UpstreamErrors } from './upstream-metrics.ts';

const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Prometheus metrics, on a port of their own, so that they are never on the one that the internet sees. Off unless METRICS_PORT is set. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const registers = [new Registry()];
		collectDefaultMetrics({ register: registers[0] });
		const upstreamErrors = new Counter({
			name: 'registry_proxy_upstream_errors_total',
			help: 'Upstream requests that failed',
			labelNames: ['upstream', 'reason'],
			registers,
		});
		countRequests(app, registers, upstreamErrors);
		countCaches(app, registers);
		new Counter({
			name: 'registry_proxy_upstream_repeated_total',
			help: 'Upstream requests sent once more: after the end of a kept connection, or a refusal that said to come again soon',
			labelNames: ['upstream', 'after'],
			registers,
			collect() {
				this.reset();
				this.inc({ upstream: 'api', after: 'end' }, app.api.repeated);
				this.inc({ upstream: 'registry', after: 'end' }, app.registry.repeated);
				this.inc({ upstream: 'registry', after: 'refusal' }, app.registry.waited);
			},
		});
		countLogLines(app, registers);
		app.addHook('onClose', countUpstreams(config, registers, upstreamErrors));
		await serve(app, config.PROXY_HOST, config.METRICS_PORT!, registers[0]!);
	},
	{
		name: 'metrics',
		dependencies: ['api', 'registry', 'request-log', 'closing-connections', 'resolver', 'upstream-tokens', 'manifests', 'blobs'],
	},
);

function countRequests(app: FastifyInstance, registers: Registry[], upstreamErrors: UpstreamErrors): void {
	const total = new Counter({
		name: 'registry_proxy_requests_total',
		help: 'Requests answered',
		labelNames: ['kind', 'status'],
		registers,
	});
	const seconds = new Histogram({
		name: 'registry_proxy_request_duration_seconds',
		help: 'Time to the end of the answer',
		labelNames: ['kind'],
		buckets: REQUEST_BUCKETS,
		registers,
	});
	const bytes = new Counter({
		name: 'registry_proxy_response_bytes_total',
		help: 'Bytes sent to clients',
		labelNames: ['kind'],
		registers,
	});
	new Gauge({
		name: 'registry_proxy_in_flight_requests',
		help: 'Requests being answered',
		registers,
		collect() {
			this.set(app.requests.inFlight);
		},
	});
	const limited = new Counter({
		name: 'registry_proxy_rate_limited_total',
		help: 'Requests refused because there were too many',
		labelNames: ['limit'],
		registers,
	});
	new Gauge({
		name: 'registry_proxy_draining',
		help: '1 while the process is ending',
		registers,
		collect() {
			this.set(app.shutdown.draining ? 1 : 0);
		},
	});

	app.requests.onUnreadable.push((status) => total.inc({ kind: 'unreadable', status }));
	app.requests.onEnd.push((request, reply) => {
		const { kind, limit, overloaded } = request.facts;
		total.inc({ kind, status: statusSent(reply) });
		seconds.observe({ kind }, reply.elapsedTime / 1000);
		bytes.inc({ kind }, bytesSent(request));
		if (limit !== undefined) {
			limited.inc({ limit });
		}
		if (overloaded !== undefined) {
			upstreamErrors.inc({ upstream: overloaded, reason: 'overloaded' });
		}
	});
}

/** Lines that nobody read in time: see src/process/log-destination.ts. A logger that writes elsewhere, such as a test's, drops none. */
function countLogLines(app: FastifyInstance, registers: Registry[]): void {
	const destination = (app.log as unknown as Record<symbol, Partial<LogDestination> | undefined>)[symbols.streamSym];
	new Counter({
		name: 'registry_proxy_log_lines_dropped_total',
		help: 'Log lines dropped because nobody read the ones before',
		registers,
		collect() {
			this.reset();
			this.inc(destination?.dropped ?? 0);
		},
	});
}

function countCaches(app: FastifyInstance, registers: Registry[]): void {
	const caches: Record<string, { readonly counts: Omit<CacheCounts, 'stale'> & { stale?: number; size: number } }> = {
		resolution: app.resolver,
		token: app.upstreamTokens,
		manifest: app.manifests,
		redirect: app.blobs,
	};
	new Counter({
		name: 'registry_proxy_cache_requests_total',
		help: 'Look-ups in the caches',
		labelNames: ['cache', 'result'],
		registers,
		collect() {
			this.reset();
			for (const [cache, { counts }] of Object.entries(caches)) {
				this.inc({ cache, result: 'hit' }, counts.hits);
				this.inc({ cache, result: 'miss' }, counts.misses);
				this.inc({ cache, result: 'stale' }, counts.stale ?? 0);
			}
		},
	});
	new Gauge({
		name: 'registry_proxy_cache_entries',
		help: 'Entries in the caches',
		labelNames: ['cache'],
		registers,
		collect() {
			for (const [cache, { counts }] of Object.entries(caches)) {
				this.set({ cache }, counts.size);
			}
		},
	});
}

async function serve(app: FastifyInstance, host: string, port: number, register: Registry): Promise<void> {
	const server = createServer((request, response) => {
		if (request.url !== '/metrics') {
			response.writeHead(404).end();
			return;
		}
		register.metrics().then(
			(text) => response.writeHead(200, { 'content-type': register.contentType }).end(text),
			(error: unknown) => {
				app.log.error({ err: error }, 'metrics could not be collected');
				response.writeHead(500).end();
			},
		);
	});
	await listenOn(host, port, async (address) => {
		server.listen(port, address);
		await once(server, 'listening');
	});
	app.addHook('onClose', async () => {
		server.closeAllConnections();
		server.close();
	});
}
