import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startTracing } from '../../../src/process/tracing.ts';
import { table } from '../../support/table.ts';

describe('startTracing: off, unless the standard variables ask for it', () => {
	table<Record<string, string | undefined>>(
		[
			[{}, 'off'],
			[{ OTEL_SERVICE_NAME: 'x' }, 'off'],
			[{ OTEL_TRACES_EXPORTER: '' }, 'off'],
			[{ OTEL_TRACES_EXPORTER: 'none' }, 'off'],
			[{ OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }, 'off'],
			[{ OTEL_TRACES_EXPORTER: 'otlp', OTEL_SDK_DISABLED: 'true' }, 'off'],
			[{ OTEL_EXPORTER_OTLP_ENDPOINT: '' }, 'off'],
		],
		async (env) => ((await startTracing(env)) === undefined ? 'off' : 'on'),
	);
	test('on, and it ends', async () => {
		const stop = await startTracing({ OTEL_TRACES_EXPORTER: 'otlp' });
		assert.ok(stop);
		await stop();
	});
});
