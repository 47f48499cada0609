import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Upstream, UpstreamFleet, UpstreamRelease } from './describe.ts';
import type { ImageSummary } from './image.ts';
import type { MainMessage, MainOptions } from './main.ts';

export type { Upstream, UpstreamFleet, UpstreamImage, UpstreamRelease } from './describe.ts';
export type { ImageSummary } from './image.ts';
export { DOCKER_REGISTRY_NEEDS } from './docker-registry.ts';

export type UpstreamOptions = Partial<MainOptions>;

/** A stand-in that runs until `close` is called or this process ends. */
export interface RunningUpstream extends Upstream {
	close(): Promise<void>;
}

/**
 * Starts the stand-in for the balena API and its registry, in a process of its own.
 *
 * It does not keep this process alive, and ends with it.
 * @param options `registry` defaults to `embedded`
 * @throws Error with what went wrong in that process
 */
export async function startUpstream(options: UpstreamOptions = {}): Promise<RunningUpstream> {
	const child = fork(new URL('main.ts', import.meta.url), [JSON.stringify({ registry: 'embedded', ...options })], {
		stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
		// The flags of the test runner are not for it; PineJS's dependencies call what Node has deprecated.
		execArgv: ['--no-deprecation'],
	});
	const exited = once(child, 'exit');
	const ready = once(child, 'message') as Promise<[MainMessage]>;
	const [message] = await Promise.race([
		ready,
		exited.then(([code]): [MainMessage] => [{ error: `its process ended with ${String(code)}` }]),
	]);
	if ('error' in message) {
		child.kill();
		throw new Error(`the sample upstream did not start: ${message.error}`);
	}
	child.unref();
	child.channel?.unref();
	return {
		...message.upstream,
		async close() {
			if (child.connected) {
				child.ref();
				child.disconnect();
			}
			await exited;
		},
	};
}

/** @returns a sample fleet, by its slug. @throws Error when there is none, so that a mistyped test fails with its reason */
export function fleetOf(upstream: Upstream, slug: string): UpstreamFleet {
	return found(upstream.fleets[slug], `sample fleet ${slug}`);
}

/** @param rawVersion for example `2.3.8+rev1`; the release that the fleet tracks when it is left out */
export function releaseOf(upstream: Upstream, slug: string, rawVersion?: string): UpstreamRelease {
	const fleet = fleetOf(upstream, slug);
	const version = rawVersion ?? fleet.target ?? '';
	return found(fleet.releases[version], `release ${version} of ${slug}`);
}

/** @returns the `v2/<hash>` and the digests of a service's image in a release that has been built */
export function imageOf(upstream: Upstream, slug: string, rawVersion?: string, service = 'main'): ImageSummary & { repository: string } {
	const { repository, summary } = found(releaseOf(upstream, slug, rawVersion).images[service], `service ${service} of ${slug}`);
	return { repository, ...found(summary, `pushed image of ${slug}`) };
}

function found<Value>(value: Value | undefined, what: string): Value {
	if (value === undefined) {
		throw new Error(`there is no ${what}`);
	}
	return value;
}
