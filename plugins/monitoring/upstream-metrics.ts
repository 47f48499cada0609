import diagnostics from 'node:diagnostics_channel';
import { Histogram, type Counter, type Registry } from 'prom-client';
import type { Config } from '../../src/config.ts';
import { isOfKeptConnection } from '../../src/http/ask-again.ts';
import { upstreamOperation } from '../../src/http/upstream-operation.ts';

/** The parts of undici's diagnostics messages that are used. */
interface UndiciMessage {
	request: { origin: string | URL; path: string };
	response?: { statusCode: number };
	error?: Error & { code?: string };
}

export type UpstreamErrors = Counter<'upstream' | 'reason'>;

const UPSTREAM_BUCKETS = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25];

/** undici tells of every request by itself, those of balena-sdk included. @returns a function that stops listening to it */
export function countUpstreams(config: Config, registers: Registry[], errors: UpstreamErrors): () => Promise<void> {
	const seconds = new Histogram({
		name: 'registry_proxy_upstream_duration_seconds',
		help: 'Time to the headers of an upstream answer',
		labelNames: ['upstream', 'operation'],
		buckets: UPSTREAM_BUCKETS,
		registers,
	});
	const started = new WeakMap<object, number>();
	const answered = new WeakSet();
	const of = ({ request }: UndiciMessage) => upstreamOperation(String(request.origin), request.path, config);

	const listeners: [string, (message: UndiciMessage) => void][] = [
		['undici:request:create', ({ request }) => started.set(request, performance.now())],
		[
			'undici:request:headers',
			(message) => {
				answered.add(message.request);
				const labels = of(message);
				// Interim answers are none.
				if (labels !== undefined && (message.response?.statusCode ?? 200) >= 200) {
					seconds.observe(labels, (performance.now() - (started.get(message.request) ?? performance.now())) / 1000);
					const reason = reasonOf(message.response?.statusCode ?? 0);
					if (reason !== undefined) {
						errors.inc({ upstream: labels.upstream, reason });
					}
				}
			},
		],
		[
			'undici:request:error',
			(message) => {
				const labels = of(message);
				// What is sent once more has not failed yet: ask-again.ts.
				const isRepeated = message.error !== undefined && !answered.has(message.request) && isOfKeptConnection(message.error);
				if (labels !== undefined && message.error?.name !== 'AbortError' && !isRepeated) {
					errors.inc({
						upstream: labels.upstream,
						reason: /TIMEOUT|TimeoutError/.test(`${message.error?.code} ${message.error?.name}`) ? 'timeout' : 'connection',
					});
				}
			},
		],
	];
	for (const [channel, listener] of listeners) {
		diagnostics.subscribe(channel, listener as never);
	}
	return async () => {
		for (const [channel, listener] of listeners) {
			diagnostics.unsubscribe(channel, listener as never);
		}
	};
}

/** @returns as what an answer counts; undefined where it is none of a fault, as a 404 is */
function reasonOf(status: number): 'status' | 'limited' | undefined {
	return status >= 500 ? 'status' : status === 429 ? 'limited' : undefined;
}
