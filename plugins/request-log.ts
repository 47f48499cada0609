import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

/** What became known of a request while it was answered: for its log line and its metrics. */
export interface Facts {
	/** Which endpoint; of few values, because it is a metric's label. */
	kind: 'ping' | 'token' | 'manifest' | 'blob' | 'tags' | 'referrers' | 'catalog' | 'page' | 'health' | 'other';
	/** The friendly name, or several, in the client's words. */
	name?: string;
	/** Version of the release that the name meant. */
	version?: string;
	/** The upstream registry's name for it. */
	repository?: string;
	/** Whether the answer came from memory. */
	cache?: 'hit' | 'miss';
}

declare module 'fastify' {
	interface FastifyRequest {
		facts: Facts;
	}
}

/** One log line a request, when its answer is out or its client gone. Neither headers nor queries are in it: they carry credentials. */
export default fp(
	async (app: FastifyInstance) => {
		const startBytes = Symbol('bytes written before this request');
		type Counted = FastifyRequest & { [startBytes]?: number };

		app.decorateRequest('facts');
		app.addHook('onRequest', async (request, reply) => {
			request.facts = { kind: 'other' };
			(request as Counted)[startBytes] = request.raw.socket.bytesWritten;
			reply.header('x-request-id', request.id);
		});

		app.addHook('onResponse', async (request, reply) => {
			const { facts, raw } = request;
			request.log.info(
				{
					client: request.ip.replace(/^::ffff:/, ''),
					method: request.method,
					...facts,
					...(facts.kind === 'other' ? { path: pathOf(raw.url) } : {}),
					status: reply.statusCode,
					bytes: raw.socket.bytesWritten - ((request as Counted)[startBytes] ?? 0),
					ms: Math.round(reply.elapsedTime * 10) / 10,
					...(reply.raw.writableFinished ? {} : { aborted: true }),
					agent: request.headers['user-agent'],
				},
				'request',
			);
		});
	},
	{ name: 'request-log' },
);

/** The beginning of a path that means nothing here, without its query. */
function pathOf(url = ''): string {
	return (url.split('?', 1)[0] ?? '').slice(0, 200);
}
