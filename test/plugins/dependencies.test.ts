import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import { readdirSync, readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { buildApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config.ts';

/* Dependencies are what the code says: a plugin declares what it uses, looks back only, and where one is missing the service does not start. */

const NOWHERE = { API_URL: 'http://127.0.0.1:9', REGISTRY_URL: 'http://127.0.0.1:9', PROXY_HOST: '127.0.0.1', METRICS_PORT: '0' };
const PLUGINS = new URL('../../plugins/', import.meta.url);

interface PluginFile {
	folder: string;
	name: string;
	source: string;
	/** Empty for the `index.ts` of a folder. */
	dependencies: string[];
}

/** Every file that is a plugin, by its name. */
const files = new Map<string, PluginFile>();
for (const path of readdirSync(PLUGINS, { recursive: true, encoding: 'utf8' }).filter((path) => /^[^/]+\/[^/]+\.ts$/.test(path))) {
	const [folder = '', file = ''] = path.split('/');
	const source = readFileSync(new URL(path, PLUGINS), 'utf8');
	const [, name] = /\bname: '([a-z-]+)'/.exec(source) ?? [];
	if (/export default fp\(/.test(source)) {
		assert.equal(name, file === 'index.ts' ? folder : file.replace('.ts', ''), `${path} is named after its file`);
		const [, list = ''] = /\bdependencies: \[([^\]]*)\]/.exec(source) ?? [];
		files.set(name!, { folder, name: name!, source, dependencies: [...list.matchAll(/'([^']+)'/g)].map((match) => match[1]!) });
	}
}

/** Builds the service, without one of its plugins where one is named. @returns the plugins' names, in the order of their registration */
async function registered(t: TestContext, missing?: string): Promise<string[]> {
	const names: string[] = [];
	const watch = (message: unknown): void => {
		const { fastify } = message as { fastify: FastifyInstance };
		// One that does not start has its timers and sockets, too.
		t.after(() => fastify.close());
		const register = fastify.register as (this: FastifyInstance, ...given: unknown[]) => FastifyInstance;
		fastify.register = function (this: FastifyInstance, plugin: unknown, ...options: unknown[]) {
			const name = (plugin as Record<symbol, { name?: string } | undefined>)[Symbol.for('plugin-meta')]?.name;
			if (name !== undefined && files.has(name)) {
				names.push(name);
			}
			return name !== undefined && name === missing ? this : register.call(this, plugin, ...options);
		} as never;
	};
	diagnostics.subscribe('fastify.initialization', watch);
	try {
		await buildApp(parseConfig(NOWHERE), { logger: false });
		return names;
	} finally {
		diagnostics.unsubscribe('fastify.initialization', watch);
	}
}

test('every plugin is registered, once', async (t) => assert.deepEqual((await registered(t)).sort(), [...files.keys()].sort()));

test('without one of its plugins, the service does not start, and says which:', async (t) => {
	for (const { name, folder } of files.values()) {
		await t.test(name, async (t) => {
			const isFolder = name === folder;
			// What a whole folder lacks is told by the first of its plugins that somebody needs.
			const said = isFolder ? [...files.values()].filter((file) => file.folder === folder).map((file) => file.name) : [name];
			await assert.rejects(registered(t, name), new RegExp(`'(${said.join('|')})'.* not registered`));
		});
	}
});

test('every plugin declares the plugins whose decorators it uses:', async (t) => {
	const owners = new Map<string, string>();
	for (const { name, source } of files.values()) {
		for (const [, decorator] of source.matchAll(/\.decorate(?:Request|Reply)?\(\s*'(\w+)'/g)) {
			assert.equal(owners.get(decorator!) ?? name, name, `${decorator} has one plugin`);
			owners.set(decorator!, name);
		}
	}
	// @fastify/rate-limit's.
	owners.set('rateLimit', 'rate-limit');
	for (const { name, folder, source, dependencies } of files.values()) {
		await t.test(name, () => {
			const uses = new Set<string>();
			for (const [, decorator = ''] of withParts(folder, source).matchAll(/\b(?:app|server|request|reply|this)\.(\w+)/g)) {
				uses.add(owners.get(decorator) ?? name);
			}
			uses.delete(name);
			assert.deepEqual(
				[...uses].filter((used) => !dependencies.includes(used)),
				[],
				'used, but not declared',
			);
		});
	}
});

test('a folder uses only folders that are registered before it', async (t) => {
	const order = (await registered(t)).filter((name) => files.get(name)!.folder === name);
	for (const { name, folder, source, dependencies } of files.values()) {
		const imported = [...source.matchAll(/from '\.\.\/([a-z-]+)\//g)].map((match) => match[1]!);
		for (const other of [...imported, ...dependencies.map((dependency) => files.get(dependency)!.folder)]) {
			assert.ok(order.indexOf(other) <= order.indexOf(folder), `${name} of ${folder}/ uses ${other}/`);
		}
	}
});

/** A plugin's source with that of the parts in its folder that are no plugins themselves. */
function withParts(folder: string, source: string): string {
	const parts = [...source.matchAll(/from '\.\/([a-z-]+)\.ts'/g)].map((match) => match[1]!).filter((part) => !files.has(part));
	return [source, ...parts.map((part) => withParts(folder, readFileSync(new URL(`${folder}/${part}.ts`, PLUGINS), 'utf8')))].join('\n');
}
