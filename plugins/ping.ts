import type { FastifyInstance } from 'fastify';

/** Liveness: answers as long as the process does, whatever its upstreams are doing. */
export default async function ping(app: FastifyInstance): Promise<void> {
	app.route({
		method: ['GET', 'HEAD'],
		url: '/ping',
		config: { rateLimit: false },
		handler: async (request, reply) => {
			request.facts.kind = 'health';
			return reply.type('text/plain').send('pong');
		},
	});
}
