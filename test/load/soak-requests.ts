import { randomInt } from 'node:crypto';
import { Agent, type Dispatcher } from 'undici';
import type { Upstream } from '../upstream/index.ts';

/* How the clients of the soak ask, and where they note what came of it. */

/** What the clients share. */
export interface Ground {
	url: string;
	upstream: Upstream;
	/** Aborted when the soak is over. */
	signal: AbortSignal;
	/** Answers so far, by status. */
	statuses: Map<number, number>;
	/** Answers and broken connections that nobody provoked. */
	surprises: string[];
	/** Bytes of blobs that came. */
	bytes: number;
}

const agent = new Agent({ connections: 256, headersTimeout: 60_000, bodyTimeout: 60_000 });

interface Asked {
	token?: string;
	authorization?: string;
	headers?: Record<string, string>;
	/** Statuses that are as they should be. */
	expected?: number[];
	/** The client's own decision to go away. */
	signal?: AbortSignal;
}

/** Another address for each client, so that limits by address have many to remember. */
const someAddress = (): string => `10.${randomInt(256)}.${randomInt(256)}.${randomInt(1, 255)}`;

/** @throws Surprise where the status is none that is expected */
export async function ask(
	ground: Ground,
	path: string,
	{
		token,
		authorization = token === undefined ? undefined : `Bearer ${token}`,
		headers = {},
		expected = [200],
		signal = ground.signal,
	}: Asked = {},
): Promise<Dispatcher.ResponseData> {
	const response = await agent.request({
		origin: ground.url,
		path,
		method: 'GET',
		headers: { 'x-forwarded-for': someAddress(), ...headers, ...(authorization === undefined ? {} : { authorization }) },
		signal,
	});
	ground.statuses.set(response.statusCode, (ground.statuses.get(response.statusCode) ?? 0) + 1);
	if (!expected.includes(response.statusCode)) {
		ground.surprises.push(`${response.statusCode} for ${path.slice(0, 100)}: ${(await response.body.text()).slice(0, 200)}`);
		throw new Surprise();
	}
	return response;
}

/** Is in the list of surprises already. */
export class Surprise extends Error {}

export async function tokenFor(ground: Ground, name: string, authorization?: string): Promise<string> {
	const { body } = await ask(ground, `/auth/v1/token?service=x&scope=repository:${name}:pull`, { authorization });
	return ((await body.json()) as { token: string }).token;
}

/** Ends the connections of all clients. */
export const closeAll = (): Promise<void> => agent.destroy();
