import closeWithGrace from 'close-with-grace';
import type { FastifyInstance } from 'fastify';
import { setTimeout as wait } from 'node:timers/promises';
import { ConfigError, parseConfig, type Config } from './config.ts';
import { describeConfig } from './process/describe-config.ts';
import { listenOn } from './process/listen.ts';
import { logDestination } from './process/log-destination.ts';
import { createLogger } from './process/logger.ts';
import { startTracing } from './process/tracing.ts';

/** For what is left to do when all connections are closed; after that the process ends whatever it does. */
const LAST_MOMENT_MS = 5000;

const config = await orExit(async () => parseConfig(process.env));
const stopTracing = await startTracing(process.env);
// After tracing has started, because that has to come before Fastify.
const { buildApp } = await import('./app.ts');
const destination = logDestination();
const app = await orExit(() => buildApp(config, { loggerInstance: createLogger(config, destination) }));

closeWithGrace({ delay: config.SHUTDOWN_DELAY + config.SHUTDOWN_TIMEOUT + LAST_MOMENT_MS, logger: false }, async ({ signal, err }) => {
	if (err !== undefined) {
		app.log.fatal({ err }, 'ending after an error');
	} else {
		app.log.info({ signal }, 'ending: running downloads may finish');
		app.shutdown.draining = true;
		await wait(config.SHUTDOWN_DELAY);
	}
	const cut = setTimeout(() => {
		app.log.warn('SHUTDOWN_TIMEOUT is over: what still runs is cut off');
		app.server.closeAllConnections();
	}, config.SHUTDOWN_TIMEOUT);
	await app.close();
	clearTimeout(cut);
	await stopTracing?.();
	await destination.end();
});

await orExit(() => listenOn(config.PROXY_HOST, config.PROXY_PORT, (host) => app.listen({ host, port: config.PROXY_PORT })));
await printStart(app, config);

/** A setting that cannot be used ends the process with one line. */
async function orExit<T>(run: () => Promise<T>): Promise<T> {
	try {
		return await run();
	} catch (error) {
		if (error instanceof ConfigError) {
			process.stderr.write(`${error.message}\n`);
			process.exit(1);
		}
		throw error;
	}
}

/**
 * What the service runs with and whether its upstreams answer, in one block. It serves already: a registry that is down is no
 * reason not to.
 */
async function printStart(app: FastifyInstance, config: Config): Promise<void> {
	// Whoever comes first need not wait for it then.
	app.challenge.service().catch(() => undefined);
	const { api, registry } = await app.health.upstreams();
	if (!process.stdout.isTTY) {
		app.log.info(
			{ config: Object.fromEntries(describeConfig(config).map((line) => line.split(/ {2,}/, 2))), upstreams: { api, registry } },
			'started',
		);
		return;
	}
	const lines = [...describeConfig(config), '', `balena API  ${config.API_URL}: ${api}`, `registry    ${config.REGISTRY_URL}: ${registry}`];
	process.stdout.write(`\n${lines.map((line) => `  ${line}`).join('\n')}\n\n`);
}
