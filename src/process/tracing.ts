/** Asked every few seconds by whatever is in front. */
const HEALTH = new Set(['/ping', '/ready', '/serving']);
/**
 * Longest value of an attribute, in characters, unless the standard variables say otherwise: a client's user agent and path can
 * have 16 KB, and 2,048 spans may wait.
 */
const MAX_VALUE_LENGTH = 1000;
/** In place of queries: those of signed URLs let anybody have what they point to, and those of logins have names. */
const REDACTED = 'REDACTED';

/** The parts of an outgoing request that spans are made of; undici's. */
interface Outgoing {
	origin: string | URL;
	path: string;
}

/**
 * Starts OpenTelemetry tracing where the standard OTEL_* variables ask for it:
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/. The SDK reads all the rest from them itself,
 * except what a client could turn against the operator: docs/observe.md, "Traces".
 *
 * It has to run before anything imports Fastify or undici, because it wraps node:http. Where it is off, nothing of it is loaded.
 *
 * @returns what to call when the process ends, so that the last spans are sent; undefined where tracing is off
 */
export async function startTracing(env: Record<string, string | undefined>): Promise<(() => Promise<void>) | undefined> {
	const isOn =
		(env['OTEL_TRACES_EXPORTER'] ?? env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? '') !== '';
	if (!isOn || env['OTEL_SDK_DISABLED'] === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none') {
		return undefined;
	}
	const [{ NodeSDK }, { HttpInstrumentation }, { UndiciInstrumentation }, { samplerOf, traceparentOnly }] = await Promise.all([
		import('@opentelemetry/sdk-node'),
		import('@opentelemetry/instrumentation-http'),
		import('@opentelemetry/instrumentation-undici'),
		import('./trace-context.ts'),
	]);
	const maxLength = env['OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT'] ?? env['OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT'];
	const sdk = new NodeSDK({
		serviceName: env['OTEL_SERVICE_NAME'] ?? 'open-balena-registry-proxy',
		sampler: samplerOf(env),
		textMapPropagator: env['OTEL_PROPAGATORS'] === 'none' ? null : traceparentOnly(),
		...(maxLength === undefined ? { spanLimits: { attributeValueLengthLimit: MAX_VALUE_LENGTH } } : {}),
		instrumentations: [
			new HttpInstrumentation({
				ignoreIncomingRequestHook: ({ url = '' }) => HEALTH.has(url),
				startIncomingSpanHook: ({ url = '' }) => redactedTarget(url),
				// Upstreams are asked by undici.
				disableOutgoingRequestInstrumentation: true,
			}),
			new UndiciInstrumentation({ startSpanHook: redactedRequest }),
		],
	});
	sdk.start();
	return () => sdk.shutdown();
}

/** What a span says of the query of a request that came in: that there was one. */
function redactedTarget(target: string): Record<string, string> {
	return target.includes('?') ? { 'url.query': REDACTED } : {};
}

/** The same of a request that goes out. */
function redactedRequest({ origin, path }: Outgoing): Record<string, string> {
	const at = path.indexOf('?');
	return at < 0 ? {} : { 'url.full': `${String(origin)}${path.slice(0, at)}?${REDACTED}`, 'url.query': REDACTED };
}
