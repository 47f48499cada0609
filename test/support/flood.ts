import { Agent } from 'undici';
import type { Proxy } from './proxy.ts';

export interface Wave {
	path: string;
	method?: 'GET' | 'HEAD' | 'POST';
	headers?: Record<string, string>;
	body?: string;
	/** The address that the service takes it to be from, where it trusts loopback as the balancer in front: TRUST_PROXY=loopback. */
	from?: string;
}

/**
 * Sends many requests, over few connections that are kept.
 *
 * @param wave what the next one is, by its number from 0
 * @returns how many answers there were of each status
 */
export async function flood({ url }: Pick<Proxy, 'url'>, count: number, wave: (i: number) => Wave): Promise<Record<number, number>> {
	const agent = new Agent({ connections: 32, pipelining: 1 });
	const statuses: Record<number, number> = {};
	let next = 0;
	const askInTurn = async (): Promise<void> => {
		for (let i = next++; i < count; i = next++) {
			const { path, method = 'GET', headers = {}, body, from } = wave(i);
			const answer = await agent.request({
				origin: url,
				path,
				method,
				headers: { ...headers, ...(from === undefined ? {} : { 'x-forwarded-for': from }) },
				...(body === undefined ? {} : { body }),
			});
			await answer.body.dump();
			statuses[answer.statusCode] = (statuses[answer.statusCode] ?? 0) + 1;
		}
	};
	try {
		await Promise.all(Array.from({ length: 32 }, askInTurn));
	} finally {
		await agent.destroy();
	}
	return statuses;
}
