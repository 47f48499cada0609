import closeWithGrace from 'close-with-grace';
import type { FastifyInstance } from 'fastify';
import { setTimeout as wait } from 'node:timers/promises';
import { ConfigError, parseConfig, type Config } from './config.ts';
import { describeConfig } from './describe-config.ts';
import { createLogger } from './logger.ts';
import { startTracing } from './tracing.ts';

const config = orExit(() => parseConfig(process.env));
const stopTracing = await startTracing(process.env);
// After tracing has started, because that has to come before Fastify.
const { buildApp } = await import('./app.ts');
const app = await buildApp(config, { loggerInstance: createLogger(config) });

closeWithGrace({ delay: config.SHUTDOWN_DELAY + config.SHUTDOWN_TIMEOUT, logger: false }, async ({ signal, err }) => {
	if (err !== undefined) {
		app.log.fatal({ err }, 'ending after an error');
	} else {
		app.log.info({ signal }, 'ending: running downloads may finish');
		app.health.draining = true;
		await wait(config.SHUTDOWN_DELAY);
	}
	await app.close();
	await stopTracing?.();
});

await listen(app, config);
await printStart(app, config);

function orExit<T>(run: () => T): T {
	try {
		return run();
	} catch (error) {
		if (error instanceof ConfigError) {
			fail(error.message);
		}
		throw error;
	}
}

function fail(message: string): never {
	process.stderr.write(`${message}\n`);
	process.exit(1);
}

/** Listens on IPv6 and IPv4; where the machine has no IPv6, on IPv4 alone. */
async function listen(app: FastifyInstance, { PROXY_HOST, PROXY_PORT }: Config): Promise<void> {
	try {
		await app.listen({ host: PROXY_HOST, port: PROXY_PORT });
	} catch (error) {
		if (PROXY_HOST !== '::' || (error as NodeJS.ErrnoException).code !== 'EAFNOSUPPORT') {
			fail(`cannot listen on ${PROXY_HOST} port ${PROXY_PORT}: ${(error as Error).message}`);
		}
		await app.listen({ host: '0.0.0.0', port: PROXY_PORT });
	}
}

/** What the service runs with and whether its upstreams answer, in one block. It serves already: a registry that is down is no reason not to. */
async function printStart(app: FastifyInstance, config: Config): Promise<void> {
	const { api, registry } = await app.health.upstreams();
	if (config.LOG_FORMAT === 'json' || !process.stdout.isTTY) {
		app.log.info({ config: Object.fromEntries(describeConfig(config).map((line) => line.split(/ {2,}/, 2))), upstreams: { api, registry } }, 'started');
		return;
	}
	const lines = [...describeConfig(config), '', `balena API  ${config.API_URL}: ${api}`, `registry    ${config.REGISTRY_URL}: ${registry}`];
	process.stdout.write(`\n${lines.map((line) => `  ${line}`).join('\n')}\n\n`);
}
