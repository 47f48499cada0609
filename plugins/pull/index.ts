import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Config } from '../../src/config.ts';
import blobs from './blobs.ts';
import blockChildren from './block-children.ts';
import blocks from './blocks.ts';
import digestSearch from './digest-search.ts';
import indexSearch from './index-search.ts';
import manifests from './manifests.ts';
import otherReleases from './other-releases.ts';
import pullRoutes from './pull-routes.ts';
import repositoryTags from './repository-tags.ts';
import target from './target.ts';

/** The registry's pull API, `/v2/`. */
export default fp(
	async (app: FastifyInstance, config: Config) => {
		await app.register(digestSearch, config);
		await app.register(manifests, config);
		await app.register(blobs, config);
		await app.register(otherReleases, config);
		await app.register(blockChildren, config);
		await app.register(indexSearch);
		await app.register(blocks, config);
		await app.register(target, config);
		await app.register(repositoryTags, config);
		await app.register(pullRoutes, config);
	},
	{ name: 'pull' },
);
