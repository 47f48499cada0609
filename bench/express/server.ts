/*
 * A minimal proxy of the shape that the benchmark compares with: Express 5 and http-proxy-middleware 4. The token endpoint is the
 * balena API's, and the name in a path is replaced by the repository that the token's payload has under this name as its alias.
 *
 * It is written for the benchmark alone, and leaves out whatever a real one would have to do besides.
 */
import express from 'express5';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { Agent, type IncomingMessage } from 'node:http';

const { PORT, API_URL, REGISTRY_URL } = process.env;
const PATH = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/([^/]+)$/;

const agent = new Agent({ keepAlive: true });
const app = express();

app.get('/ping', (_request, response) => {
	response.send('pong');
});

app.use(createProxyMiddleware({ target: API_URL, pathFilter: '/auth/v1/token', agent }));

app.use(
	createProxyMiddleware({
		target: REGISTRY_URL,
		pathFilter: '/v2',
		agent,
		pathRewrite: (path, request) => rewrite(path, request.headers.authorization),
		on: {
			proxyRes: (answer, request) => {
				const challenge = answer.headers['www-authenticate'];
				if (challenge !== undefined) {
					answer.headers['www-authenticate'] = challenge.replace(/realm="[^"]*"/, `realm="${origin(request)}/auth/v1/token"`);
				}
			},
		},
	}),
);

app.listen(Number(PORT), '127.0.0.1');

function rewrite(path: string, authorization = ''): string {
	const [, name, kind, item] = PATH.exec(path) ?? [];
	const payload = authorization.split('.')[1];
	if (name === undefined || payload === undefined) {
		return path;
	}
	const { access } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { access: { name: string; alias?: string }[] };
	const entry = access.find(({ alias }) => alias === name);
	return entry === undefined ? path : `/v2/${entry.name}/${kind}/${item}`;
}

function origin(request: IncomingMessage): string {
	return `http://${request.headers.host}`;
}
