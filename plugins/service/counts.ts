import type { FastifyRateLimitStore } from '@fastify/rate-limit';
import type { Redis } from 'ioredis';
import { Counters, type Count } from '../../src/counters.ts';

/** With the two scripts below, which `defineCommand` adds. */
interface CountingRedis extends Redis {
	countOne(key: string, windowMs: number): Promise<[number, number]>;
	countBack(key: string): Promise<number>;
}

/** A network of 48 bits has 65,536 of 64, and so many clients; ten of them, together, may be all that one customer has. */
const NETWORK_SHARE = 10;
/** As `clientKey` names an IPv6 network, at the end of a key. */
const OF_NETWORK = /^(.*?)((?:[0-9a-f]+:){3})[0-9a-f]+::\/64$/;

const COUNT_ONE = `
local current = redis.call('INCR', KEYS[1])
if current == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return { current, redis.call('PTTL', KEYS[1]) }`;
const COUNT_BACK = `
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('DECR', KEYS[1]) end
return 0`;

/**
 * What @fastify/rate-limit counts with, in this process or, with Redis, in all replicas together. A key that ends in an IPv6
 * network of 64 bits counts for that of 48 as well, with ten times the limit.
 */
export class Counts implements FastifyRateLimitStore {
	readonly #local = new Counters();
	readonly #redis: CountingRedis | undefined;

	constructor(redis: Redis | undefined) {
		this.#redis = redis as CountingRedis | undefined;
		redis?.defineCommand('countOne', { numberOfKeys: 1, lua: COUNT_ONE });
		redis?.defineCommand('countBack', { numberOfKeys: 1, lua: COUNT_BACK });
	}

	/** The store's own interface. */
	incr(key: string, callback: (error: Error | null, count?: Count) => void, windowMs: number, max: number): void {
		if (this.#redis === undefined) {
			callback(null, this.takeHere(key, windowMs, max));
		} else {
			this.take(key, windowMs, max).then(
				(count) => callback(null, count),
				(error: Error) => callback(error),
			);
		}
	}

	/** All limits count in one store: their keys say which they are of. */
	child(): this {
		return this;
	}

	/** Counts one more in this process only. @returns the count that is the nearest to its limit, as one of `max` */
	takeHere(key: string, windowMs: number, max: number): Count {
		const own = this.#local.take(key, windowMs, max);
		const network = networkToo(key, own, max);
		return network === undefined ? own : higher(own, this.#local.take(network, windowMs, max * NETWORK_SHARE));
	}

	/** Counts one more, in all replicas. @returns the same, and what to give back. @throws where Redis does not answer */
	async take(key: string, windowMs: number, max: number): Promise<Count & { keys: string[] }> {
		const redis = this.#redis;
		const one = async (of: string, most: number): Promise<Count> => {
			if (redis === undefined) {
				return this.#local.take(of, windowMs, most);
			}
			const [current, ttl] = await redis.countOne(PREFIX + of, windowMs);
			// Redis says 0 in the last moment of a window, which as a `Retry-After` would mean at once.
			return { current, ttl: Math.max(1, ttl) };
		};
		const own = await one(key, max);
		const network = networkToo(key, own, max);
		return network === undefined
			? { ...own, keys: [key] }
			: { ...higher(own, await one(network, max * NETWORK_SHARE)), keys: [key, network] };
	}

	/** Takes back what `take` has counted. Where Redis does not answer, it stays until its window ends. */
	async giveBack(keys: readonly string[]): Promise<void> {
		const redis = this.#redis;
		if (redis === undefined) {
			keys.forEach((key) => this.#local.giveBack(key));
		} else {
			await Promise.all(keys.map((key) => redis.countBack(PREFIX + key))).catch(() => undefined);
		}
	}
}

const PREFIX = 'registry-proxy:';

/** What is refused to a client itself is nothing that its network has got: else one client could use up what all of it have. */
function networkToo(key: string, { current }: Count, max: number): string | undefined {
	if (current > max || !key.endsWith('::/64')) {
		return undefined;
	}
	const [, prefix = '', network = ''] = OF_NETWORK.exec(key) ?? [];
	return network === '' ? undefined : `${prefix}${network}:/48`;
}

function higher(own: Count, network: Count): Count {
	const current = Math.ceil(network.current / NETWORK_SHARE);
	return current > own.current ? { current, ttl: network.ttl } : own;
}
