import { DOCKER_REGISTRY_NEEDS, startUpstream, type Upstream } from './index.ts';
import { isInstalled } from './tools.ts';

/** Where `global-setup.ts` leaves the stand-in that all test files of a run share. */
export const SHARED_VARIABLE = 'TEST_UPSTREAM';

let own: Promise<Upstream> | undefined;

/** @returns the run's stand-in, or, in a test file that is run alone, one of its own. Nobody has to close it. */
export async function sharedUpstream(): Promise<Upstream> {
	const shared = process.env[SHARED_VARIABLE];
	if (shared !== undefined) {
		return JSON.parse(shared) as Upstream;
	}
	own ??= startUpstream({ registry: availableRegistry() });
	return await own;
}

/** The real registry where it is installed, else the embedded one. */
export function availableRegistry(): Upstream['registry'] {
	return DOCKER_REGISTRY_NEEDS.every(isInstalled) ? 'docker-registry' : 'embedded';
}
