import { trace, type TextMapPropagator } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { AlwaysOffSampler, AlwaysOnSampler, ParentBasedSampler, TraceIdRatioBasedSampler, type Sampler } from '@opentelemetry/sdk-trace';
import { randomBytes } from 'node:crypto';

/* What of a client's trace context counts here: to which trace its request belongs. Loaded only where tracing is on. */

/**
 * W3C Trace Context without `tracestate`: to which trace a request belongs is taken from and passed on in `traceparent`. What
 * else a client says (`tracestate`, `baggage`) does not go on to the upstreams, which are others' than the client's.
 */
export function traceparentOnly(): TextMapPropagator {
	const w3c = new W3CTraceContextPropagator();
	return {
		inject: (context, carrier, setter) => w3c.inject(context, carrier, setter),
		extract: (context, carrier, getter) =>
			w3c.extract(context, carrier, {
				keys: (from) => getter.keys(from),
				get: (from, name) => (name === 'traceparent' ? getter.get(from, name) : undefined),
			}),
		fields: () => ['traceparent'],
	};
}

/** By the values of OTEL_TRACES_SAMPLER. */
const SAMPLERS: Record<string, (ratio: number) => Sampler> = {
	always_on: () => new AlwaysOnSampler(),
	always_off: () => new AlwaysOffSampler(),
	traceidratio: (ratio) => new TraceIdRatioBasedSampler(ratio),
};

/**
 * @param env of which OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG decide which requests are sampled
 * @returns a sampler that decides it of every request, whether or not it comes with a `traceparent`: neither the flag in that nor
 * the trace's id, which a client can choose both, make a difference. Requests to the upstreams follow the request that they are
 * made for.
 */
export function samplerOf(env: Record<string, string | undefined>): Sampler {
	const name = (env['OTEL_TRACES_SAMPLER'] ?? '').trim().replace(/^parentbased_/, '');
	const ratio = Number(env['OTEL_TRACES_SAMPLER_ARG']?.trim() || '1');
	const root = (SAMPLERS[name] ?? SAMPLERS['always_on']!)(ratio >= 0 && ratio <= 1 ? ratio : 1);
	const decided: Sampler = {
		shouldSample: (context, _traceId, ...what) => root.shouldSample(trace.deleteSpan(context), randomBytes(16).toString('hex'), ...what),
		toString: () => root.toString(),
	};
	return new ParentBasedSampler({ root, remoteParentSampled: decided, remoteParentNotSampled: decided });
}
