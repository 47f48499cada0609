import { startUpstream, type RunningUpstream } from './upstream/index.ts';
import { availableRegistry, SHARED_VARIABLE } from './upstream/shared.ts';

let upstream: RunningUpstream | undefined;

/** For `node --test --test-global-setup=test/global-setup.ts`: one stand-in for all test files of the run, which inherit the variable. */
export async function globalSetup(): Promise<void> {
	upstream = await startUpstream({ registry: availableRegistry() });
	console.log(`sample upstream: ${upstream.registry} registry at ${upstream.registryUrl}, API at ${upstream.apiUrl}`);
	process.env[SHARED_VARIABLE] = JSON.stringify(upstream);
}

export async function globalTeardown(): Promise<void> {
	await upstream?.close();
}
