import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { readFileSync, statSync } from 'node:fs';
import type { Server } from 'node:https';
import { createSecureContext } from 'node:tls';
import { ConfigError, type Config } from '../../src/config.ts';

/** How often the files are looked at. Polling, because secrets are replaced through symbolic links, of which watchers lose track. */
const POLL_MS = 10_000;

export interface Certificate {
	cert: Buffer;
	key: Buffer;
}

/**
 * @returns the certificate and key of TLS_CERT and TLS_KEY; undefined where the service speaks plain HTTP.
 * @throws ConfigError where they cannot be used
 */
export function readCertificate({ TLS_CERT, TLS_KEY }: Pick<Config, 'TLS_CERT' | 'TLS_KEY'>): Certificate | undefined {
	if (TLS_CERT === undefined || TLS_KEY === undefined) {
		return undefined;
	}
	try {
		const certificate = { cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) };
		createSecureContext(certificate);
		return certificate;
	} catch (error) {
		throw new ConfigError(
			`TLS_CERT is "${TLS_CERT}" and TLS_KEY is "${TLS_KEY}", which cannot be used (${(error as Error).message}); accepted: a certificate and its key in PEM files`,
		);
	}
}

/** Takes up a renewed certificate without a restart; connections that are open go on with the old one. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		const { TLS_CERT, TLS_KEY } = config;
		if (TLS_CERT === undefined || TLS_KEY === undefined) {
			return;
		}
		const stamp = (): string => [TLS_CERT, TLS_KEY].map((path) => `${statSync(path).mtimeMs} ${statSync(path).ino}`).join();
		let seen = stamp();
		const timer = setInterval(() => {
			try {
				const now = stamp();
				if (now !== seen) {
					(app.server as unknown as Server).setSecureContext(readCertificate(config)!);
					seen = now;
					app.log.info('the certificate has changed and is used from now on');
				}
			} catch (error) {
				// Half-written, or not a pair yet: the old one goes on until the files are whole.
				app.log.warn({ error: (error as Error).message }, 'the certificate has changed but cannot be used yet');
			}
		}, POLL_MS);
		timer.unref();
		app.addHook('onClose', async () => clearInterval(timer));
	},
	{ name: 'certificate' },
);
