import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type * as Pine from '@balena/pinejs';
import type { Express, RequestHandler } from 'express';
import { CACHE_DIRECTORY, keepInCache, type Database } from './database.ts';
import { bearer, type KeyHolder, type KeyRing } from './keys.ts';

/** The version of the balena API that is served. */
const VERSION = 'v7';

/** What anybody may read: the rows of public fleets, and all device types. Organisations and everything else are 401. */
const PUBLIC_READ = [
	`${VERSION}.application.read?is_public eq true`,
	`${VERSION}.release.read?belongs_to__application/canAccess()`,
	`${VERSION}.service.read?application/canAccess()`,
	`${VERSION}.image__is_part_of__release.read?is_part_of__release/canAccess()`,
	`${VERSION}.image.read?release_image/any(ri:ri/is_part_of__release/canAccess())`,
	`${VERSION}.release_tag.read?release/canAccess()`,
	`${VERSION}.device_type.read`,
	`${VERSION}.cpu_architecture.read`,
];

export type Sql = (statement: string, parameters: unknown[]) => Promise<Record<string, unknown>[]>;

/** Query options as PineJS's own client takes them. */
export type Query = Record<string, unknown>;

export interface OData {
	sql: Sql;
	/** Asks as somebody in particular, or as anybody. */
	get<Row>(resource: string, options: Query, holder: KeyHolder | undefined): Promise<Row[]>;
}

/**
 * Mounts `/v7` on an Express application: PineJS, which is what answers the balena API's OData, over a small part of that API's model. There can
 * be one in a process.
 */
export async function mountOData(app: Express, database: Database, keys: KeyRing): Promise<OData> {
	const pine = await loadPine();
	const { sbvrUtils } = pine;
	const sql: Sql = async (statement, parameters) =>
		(await sbvrUtils.db.transaction(async (tx) => await tx.executeSql(statement, parameters as never))).rows;

	const permissionsOf = async (holder: KeyHolder): Promise<{ key: string; actor: number; permissions: string[] }> => {
		const rows = await sql('SELECT "id" FROM "application" WHERE "slug" = ANY($1)', [holder.fleets]);
		const isOwn = rows.map(({ id }) => `id eq ${Number(id)}`).join(' or ');
		return { key: holder.key, actor: 1, permissions: rows.length === 0 ? [] : [`${VERSION}.application.read?${isOwn}`] };
	};
	const authorize: RequestHandler = (req, _res, next) => {
		const holder = bearer(keys, req.headers.authorization);
		if (holder === undefined) {
			next();
			return;
		}
		permissionsOf(holder).then((apiKey) => {
			(req as { apiKey?: unknown }).apiKey = apiKey;
			next();
		}, next);
	};
	app.use(`/${VERSION}`, authorize);

	const config = {
		models: [
			{
				apiRoot: VERSION,
				modelName: VERSION,
				modelText: readFileSync(new URL('model.sbvr', import.meta.url), 'utf8'),
				logging: { default: false },
			},
		],
		users: [{ username: 'guest', password: ' ', permissions: PUBLIC_READ }],
	};
	const { host, port } = database;
	await pine.init(
		app,
		config as never,
		{ engine: 'postgres', params: { host, port, user: 'postgres', password: 'postgres', database: 'postgres', max: 8 } } as never,
	);

	const api = sbvrUtils.api as unknown as Record<string, { get(parameters: object): Promise<unknown> }>;
	return {
		sql,
		async get<Row>(resource: string, options: Query, holder: KeyHolder | undefined) {
			const req = holder === undefined ? {} : { apiKey: await permissionsOf(holder) };
			return (await api[VERSION]!.get({ resource, options, passthrough: { req } })) as Row[];
		},
	};
}

/** PineJS keeps what it compiles in a file that its environment names, by default in the current directory. */
async function loadPine(): Promise<typeof Pine> {
	const cacheFile = join(CACHE_DIRECTORY, 'pinejs.json');
	const shipped = new URL('../../.pinejs-cache.json', import.meta.resolve('@balena/pinejs'));
	if (!existsSync(cacheFile) && existsSync(shipped)) {
		keepInCache(cacheFile, readFileSync(shipped));
	}
	process.env.PINEJS_CACHE_FILE = cacheFile;
	return await import('@balena/pinejs');
}
