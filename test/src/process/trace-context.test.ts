import { ROOT_CONTEXT, SpanKind, trace, TraceFlags, type Context } from '@opentelemetry/api';
import { SamplingDecision } from '@opentelemetry/sdk-trace';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { samplerOf, traceparentOnly } from '../../../src/process/trace-context.ts';
import { table } from '../../support/table.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

const inside = (traceFlags: TraceFlags, isRemote: boolean, traceId = TRACE): Context =>
	trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: SPAN, traceFlags, isRemote });

/** Parents: none, a client's with either flag and any id, one's own with either flag. */
const PARENTS: Record<string, Context> = {
	none: ROOT_CONTEXT,
	'client 0': inside(TraceFlags.NONE, true),
	'client 1': inside(TraceFlags.SAMPLED, true),
	'client 1, an id that a ratio takes': inside(TraceFlags.SAMPLED, true, `${'0'.repeat(31)}1`),
	'own 0': inside(TraceFlags.NONE, false),
	'own 1': inside(TraceFlags.SAMPLED, false),
};

describe('samplerOf: which parents of a request lead to a sample', () => {
	const sampled = (env: Record<string, string>): string[] =>
		Object.entries(PARENTS)
			.filter(
				([, context]) =>
					samplerOf(env).shouldSample(context, trace.getSpanContext(context)?.traceId ?? TRACE, 'GET', SpanKind.SERVER, {}, []).decision ===
					SamplingDecision.RECORD_AND_SAMPLED,
			)
			.map(([name]) => name);
	const ALL = Object.keys(PARENTS).filter((name) => name !== 'own 0');
	const NONE = ['own 1'];
	table<Record<string, string>>(
		[
			[{}, ALL],
			[{ OTEL_TRACES_SAMPLER: '' }, ALL],
			[{ OTEL_TRACES_SAMPLER: 'made_up' }, ALL],
			[{ OTEL_TRACES_SAMPLER: 'always_on' }, ALL],
			[{ OTEL_TRACES_SAMPLER: 'parentbased_always_on' }, ALL],
			[{ OTEL_TRACES_SAMPLER: 'always_off' }, NONE],
			[{ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, NONE],
			[{ OTEL_TRACES_SAMPLER: 'traceidratio' }, ALL],
			[{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }, ALL],
			[{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, NONE],
			[{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, NONE],
			[{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '1' }, ALL],
		],
		sampled,
	);
});

test('traceparentOnly: tracestate and baggage are neither read nor written', () => {
	const propagator = traceparentOnly();
	const carrier: Record<string, string> = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'a=b', baggage: 'c=d' };
	const context = propagator.extract(ROOT_CONTEXT, carrier, { keys: Object.keys, get: (from: typeof carrier, name) => from[name] });
	const written: Record<string, string> = {};
	propagator.inject(context, written, { set: (to: typeof written, name, value) => void (to[name] = value) });
	assert.deepEqual(written, { traceparent: `00-${TRACE}-${SPAN}-01` });
});
