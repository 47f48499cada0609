import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

/** Where what is slow to make is kept between starts. Deleting it only costs the next start some seconds. */
export const CACHE_DIRECTORY = join(import.meta.dirname, '../../node_modules/.cache/sample-upstream');

export interface Database {
	host: string;
	port: number;
	close(): Promise<void>;
}

/** Starts an empty in-memory PostgreSQL of this process's own, which speaks its protocol on a free port of 127.0.0.1. */
export async function startDatabase(): Promise<Database> {
	const db = await createEmptyDatabase();
	const server = new PGLiteSocketServer({ db, port: 0, maxConnections: 100 });
	await server.start();
	const [host = '', port] = server.getServerConn().split(':');
	return {
		host,
		port: Number(port),
		async close() {
			await server.stop();
			await db.close();
		},
	};
}

/** Creating a cluster takes seconds, loading a dump of an empty one a fraction of a second. */
async function createEmptyDatabase(): Promise<PGlite> {
	const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.resolve('@electric-sql/pglite')), 'utf8')) as {
		version: string;
	};
	const dumpFile = join(CACHE_DIRECTORY, `empty-pglite-${version}.tar.gz`);
	const dump = readIfThere(dumpFile);
	if (dump !== undefined) {
		return await PGlite.create({ loadDataDir: new Blob([new Uint8Array(dump)]) });
	}
	const db = await PGlite.create();
	keepInCache(dumpFile, Buffer.from(await (await db.dumpDataDir('gzip')).arrayBuffer()));
	return db;
}

function readIfThere(file: string): Buffer | undefined {
	try {
		return readFileSync(file);
	} catch {
		return undefined;
	}
}

/** Several processes may start at once: none may see half a file. Where nothing can be written, every start takes its time. */
export function keepInCache(file: string, content: Buffer): void {
	const unfinished = `${file}.${process.pid}`;
	try {
		mkdirSync(CACHE_DIRECTORY, { recursive: true });
		writeFileSync(unfinished, content);
		renameSync(unfinished, file);
	} catch (error) {
		console.error('cannot keep', file, error);
	}
}
