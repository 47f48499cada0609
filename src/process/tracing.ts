/** Asked every few seconds by whatever is in front. */
const HEALTH = new Set(['/ping', '/ready', '/serving']);

/**
 * Starts OpenTelemetry tracing where the standard OTEL_* variables ask for it: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
 * The SDK reads all the rest from them itself.
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
	const [{ NodeSDK }, { HttpInstrumentation }, { UndiciInstrumentation }] = await Promise.all([
		import('@opentelemetry/sdk-node'),
		import('@opentelemetry/instrumentation-http'),
		import('@opentelemetry/instrumentation-undici'),
	]);
	const sdk = new NodeSDK({
		serviceName: env['OTEL_SERVICE_NAME'] ?? 'open-balena-registry-proxy',
		instrumentations: [
			new HttpInstrumentation({ ignoreIncomingRequestHook: ({ url = '' }) => HEALTH.has(url) }),
			new UndiciInstrumentation(),
		],
	});
	sdk.start();
	return () => sdk.shutdown();
}
