import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { sharedUpstream } from '../upstream/shared.ts';
import { startBrokenServer, type BrokenServer } from './broken-server.ts';
import { LONG } from './expect.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { forge } from './setup.ts';

/** A token of the API's form, which a registry that looks at none takes; what is accepted is so until the token ends. */
const UPSTREAM_TOKEN = `e30.${Buffer.from(JSON.stringify({ exp: 4_000_000_000 })).toString('base64url')}.any`;

export interface BrokenRegistry {
	proxy: Proxy;
	/** For `name`. */
	token: string;
	registry: BrokenServer;
}

/**
 * The service in front of the stand-in's API and a registry that answers with bytes of the test's.
 *
 * @param name of what is pulled
 * @param answer writes to the socket, and ends it as it pleases
 * @param env as for `startProxy`
 */
export async function withBrokenRegistry(
	t: TestContext,
	name: string,
	answer: (socket: Socket, head: string) => void,
	env: Record<string, string> = {},
): Promise<BrokenRegistry> {
	const { apiUrl } = await sharedUpstream();
	const registry = await startBrokenServer(t, answer);
	const proxy = await startProxy(t, { apiUrl, registryUrl: registry.url }, { ...LONG, ...env });
	return { proxy, registry, token: forge(UPSTREAM_TOKEN, { n: { [name]: [`v2/${'0'.repeat(32)}`, '1.0.0'] } }) };
}
