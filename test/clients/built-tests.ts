import { run } from '../support/run.ts';
import { versionInSources } from './install.ts';
import type { Result } from './report.ts';

/** Tests of the ordinary run that are skipped there until what they need is built. */
const TESTS: [client: string, binary: string, name: string, file: string][] = [
	['distribution, as the registry behind', 'distribution', 'all of its tests', 'test/e2e/distribution.test.ts'],
	['Caddy, as a hop in front', 'caddy', 'all of its tests', 'test/hops/hops.test.ts'],
];

export const BUILT_TESTS: [name: string, run: () => Promise<Result[]>, needs: string[]][] = TESTS.map(([client, binary, name, file]) => [
	client,
	async () => {
		const { code, printed } = await run(process.execPath, ['test/run.ts', '--no-upstream', file], { seconds: 600 });
		return [{ client, version: versionInSources(binary), name, passed: code === 0, printed, output: printed }];
	},
	[binary],
]);
