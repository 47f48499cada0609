import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo } from '../support/raw-client.ts';
import { ACCEPT, basic } from '../support/proxy.ts';
import type { Upstream } from '../upstream/index.ts';
import { ask, Surprise, tokenFor, type Ground } from './soak-requests.ts';

/* Clients of every kind, each of which does the same again and again: those that pull, and those that are slow, rude, wrong or gone. */

const MANIFEST = { accept: ACCEPT };
const LARGE = 'acme/large';

/** What can be pulled: name, layers and config, and whether that takes a login. */
function images({ fleets, keys }: Upstream): { name: string; blobs: string[]; authorization?: string }[] {
	return Object.values(fleets)
		.filter(({ slug }) => slug !== LARGE)
		.flatMap(({ slug, isPublic, releases }) =>
			Object.values(releases).flatMap(({ commit, status, isInvalidated, images }) =>
				Object.entries(images).flatMap(([service, { summary }]) =>
					summary === undefined || status !== 'success' || isInvalidated
						? []
						: {
								name: `${slug}/${commit}/${service}`,
								blobs: summary.platforms.flatMap(({ configDigest, layers }) => [configDigest, ...layers.map(({ digest }) => digest)]),
								...(isPublic ? {} : { authorization: basic(keys.owner) }),
							},
				),
			),
		);
}

async function pull(ground: Ground, { name, blobs, authorization }: ReturnType<typeof images>[number]): Promise<void> {
	await (await ask(ground, '/v2/', { expected: [401] })).body.dump();
	const token = await tokenFor(ground, name, authorization);
	const manifest = await ask(ground, `/v2/${name}/manifests/latest`, { token, headers: MANIFEST });
	const digest = String(manifest.headers['docker-content-digest']);
	await manifest.body.dump();
	await (await ask(ground, `/v2/${name}/manifests/${digest}`, { token, headers: MANIFEST })).body.dump();
	await Promise.all(
		blobs.map(async (blob) => {
			const { body } = await ask(ground, `/v2/${name}/blobs/${blob}`, { token });
			const hash = createHash('sha256');
			for await (const chunk of body) {
				ground.bytes += (chunk as Buffer).length;
				hash.update(chunk as Buffer);
			}
			if (blob !== `sha256:${hash.digest('hex')}`) {
				ground.surprises.push(`other bytes than ${blob} of ${name}`);
			}
		}),
	);
}

function largeBlob({ fleets }: Upstream): string {
	const [release] = Object.values(fleets[LARGE]!.releases);
	return `/v2/${LARGE}/blobs/${release!.images['main']!.summary!.platforms[0]!.layers[0]!.digest}`;
}

/** A download that is read a piece at a time. @param pauseMs after each piece @param lifeMs after which the client goes away, whatever is left */
async function readSlowly(ground: Ground, pauseMs: number, lifeMs: number): Promise<void> {
	const token = await tokenFor(ground, LARGE);
	const { body } = await ask(ground, largeBlob(ground.upstream), { token });
	const end = Date.now() + lifeMs;
	for await (const chunk of body) {
		ground.bytes += (chunk as Buffer).length;
		await sleep(pauseMs, undefined, { signal: ground.signal });
		if (Date.now() > end) {
			// Ends the connection too.
			break;
		}
	}
}

const word = (): string => randomBytes(randomInt(2, 12)).toString('hex');
const wrongName = (): string =>
	[word(), word(), ...(randomInt(2) === 0 ? [] : [`${randomInt(99)}.${randomInt(99)}.${randomInt(99)}`])].join('/');

/** Each kind of client: how many there are at once, and what one does before it begins anew. */
export const CLIENTS: Record<string, { count: number; run(ground: Ground): Promise<unknown> }> = {
	'pulls of whole images': {
		count: 6,
		async run(ground) {
			const all = images(ground.upstream);
			await pull(ground, all[randomInt(all.length)]!);
		},
	},
	'downloads that are aborted in the middle': {
		count: 3,
		async run(ground) {
			const token = await tokenFor(ground, LARGE);
			const { body } = await ask(ground, largeBlob(ground.upstream), { token });
			let left = randomInt(5_000_000);
			for await (const chunk of body) {
				ground.bytes += (chunk as Buffer).length;
				left -= (chunk as Buffer).length;
				if (left <= 0) {
					break;
				}
			}
			await sleep(100);
		},
	},
	'requests that are aborted before the headers': {
		count: 3,
		async run(ground) {
			const token = await tokenFor(ground, LARGE);
			const gone = AbortSignal.timeout(randomInt(1, 10));
			const [path, bearer] = (
				[
					[largeBlob(ground.upstream), token],
					[`/v2/${LARGE}/manifests/sha256:${randomBytes(32).toString('hex')}`, token],
					[`/auth/v1/token?scope=repository:${wrongName()}:pull`, undefined],
				] as const
			)[randomInt(3)]!;
			await ask(ground, path, { token: bearer, expected: [200, 404], signal: gone }).then(
				({ body }) => body.dump().catch(() => undefined),
				(error: unknown) => {
					if (!gone.aborted) {
						throw error;
					}
				},
			);
			await sleep(50);
		},
	},
	'slow readers': { count: 15, run: (ground) => readSlowly(ground, 100, 20_000) },
	'readers that stop': { count: 10, run: (ground) => readSlowly(ground, 30_000, 0) },
	'names that mean nothing': {
		count: 3,
		async run(ground) {
			const name = wrongName();
			const token = await tokenFor(ground, name);
			await (await ask(ground, `/v2/${name}/manifests/latest`, { token, headers: MANIFEST, expected: [404] })).body.dump();
		},
	},
	'keys that are not valid': {
		count: 1,
		async run(ground) {
			await (
				await ask(ground, '/auth/v1/token?scope=repository:acme/secret:pull', { authorization: basic(word()), expected: [401, 429] })
			).body.dump();
			await sleep(20);
		},
	},
	'forged tokens': {
		count: 1,
		async run(ground) {
			const forged = `e30.${randomBytes(randomInt(10_000)).toString('base64url')}.x`;
			await (await ask(ground, '/v2/acme/pinned/manifests/latest', { token: forged, expected: [401, 404] })).body.dump();
			await sleep(20);
		},
	},
	pages: {
		count: 1,
		async run(ground) {
			await (
				await ask(ground, `/${randomInt(2) === 0 ? 'acme/several' : wrongName()}`, {
					headers: { accept: 'text/html' },
					expected: [200, 404],
				})
			).body.dump();
			await sleep(20);
		},
	},
	garbage: {
		count: 1,
		async run(ground) {
			const socket = connectTo(ground).on('error', () => undefined);
			socket.end(randomBytes(randomInt(1000)));
			socket.resume();
			await once(socket, 'close');
			await sleep(20);
		},
	},
	'connections on which nothing is asked': {
		count: 20,
		async run(ground) {
			const socket = connectTo(ground).on('error', () => undefined);
			socket.resume();
			await once(socket, 'close', { signal: ground.signal }).finally(() => socket.destroy());
		},
	},
};

/** Lets one client do what it does until the soak is over. */
export async function keepRunning(ground: Ground, kind: string): Promise<void> {
	while (!ground.signal.aborted) {
		try {
			await CLIENTS[kind]!.run(ground);
		} catch (error) {
			if (!ground.signal.aborted && !(error instanceof Surprise)) {
				ground.surprises.push(`${kind}: ${String(error)} ${String((error as Error).cause ?? '')}`);
			}
			await sleep(100);
		}
	}
}
