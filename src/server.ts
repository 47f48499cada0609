import closeWithGrace from 'close-with-grace';
import type { FastifyInstance } from 'fastify';
import { buildApp } from './app.ts';
import { ConfigError, parseConfig, type Config } from './config.ts';
import { createLogger } from './logger.ts';

const config = readConfig();
const app = await buildApp(config, { loggerInstance: createLogger(config) });

closeWithGrace({ delay: config.SHUTDOWN_TIMEOUT, logger: false }, async ({ signal, err }) => {
	if (err !== undefined) {
		app.log.fatal({ err }, 'ending after an error');
	} else {
		app.log.info({ signal }, 'ending: running downloads may finish');
	}
	await app.close();
});

await listen(app, config);

function readConfig(): Config {
	try {
		return parseConfig(process.env);
	} catch (error) {
		if (error instanceof ConfigError) {
			process.stderr.write(`${error.message}\n`);
			process.exit(1);
		}
		throw error;
	}
}

/** Listens on IPv6 and IPv4; where the machine has no IPv6, on IPv4 alone. */
async function listen(app: FastifyInstance, { PROXY_HOST, PROXY_PORT }: Config): Promise<void> {
	try {
		await app.listen({ host: PROXY_HOST, port: PROXY_PORT });
	} catch (error) {
		if (PROXY_HOST !== '::' || (error as NodeJS.ErrnoException).code !== 'EAFNOSUPPORT') {
			process.stderr.write(`cannot listen on ${PROXY_HOST} port ${PROXY_PORT}: ${(error as Error).message}\n`);
			process.exit(1);
		}
		await app.listen({ host: '0.0.0.0', port: PROXY_PORT });
	}
}
