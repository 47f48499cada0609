import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';

/*
 * HEALTHCHECK of the container image, which has neither a shell nor curl: exits with 0 when the service answers `GET /ping`, else with 1.
 * It asks on the loopback, where the certificate's name does not fit, so with TLS_CERT the name is not verified here.
 */

const { PROXY_HOST = '', PROXY_PORT, TLS_CERT } = process.env;
const hostname = ['', '::', '0.0.0.0'].includes(PROXY_HOST.trim()) ? '127.0.0.1' : PROXY_HOST.trim();
const options = { hostname, port: PROXY_PORT?.trim() || 80, path: '/ping', timeout: 3000 };

const request = TLS_CERT?.trim() ? getHttps({ ...options, rejectUnauthorized: false }) : getHttp(options);
request.on('response', ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1));
request.on('timeout', () => request.destroy(new Error('no answer within 3 seconds')));
request.on('error', (error) => {
	process.stderr.write(`${error.message}\n`);
	process.exit(1);
});
