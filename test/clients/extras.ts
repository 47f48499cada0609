import { run } from '../e2e/run.ts';
import { imageOf } from '../upstream/index.ts';
import { built } from './install.ts';
import type { Result } from './report.ts';
import type { Servers } from './servers.ts';

/** What is not a pull: lists of tags, referrers. Each is one client's own command. */
export const EXTRAS: ((servers: Servers) => Promise<Result>)[] = [
	({ plain }) => list('skopeo list-tags', 'skopeo', ['list-tags', '--tls-verify=false', `docker://${plain}/balenablocks/browser-aarch64`]),
	({ plain }) => list('crane ls', built('crane'), ['ls', '--insecure', `${plain}/balenablocks/browser-aarch64`]),
	({ plain }) => list('oras repo tags', built('oras'), ['repo', 'tags', '--plain-http', `${plain}/balenablocks/browser-aarch64`]),
	async ({ plain, upstream }) => {
		const { digest } = imageOf(upstream, 'acme/signed');
		const { code, printed } = await run(built('oras'), ['discover', '--plain-http', '--distribution-spec', 'v1.1-referrers-tag', `${plain}/acme/signed@${digest}`]);
		const expected = imageOf(upstream, 'acme/signed').referrer?.digest ?? 'no referrer';
		return { client: 'oras discover', version: '', name: 'referrers by the fallback tag', passed: code === 0 && printed.includes(expected.slice(0, 20)), printed };
	},
];

async function list(client: string, command: string, args: string[]): Promise<Result> {
	const { code, printed } = await run(command, args);
	return { client, version: '', name: 'versions of a fleet', passed: code === 0 && printed.includes('2.3.8') && !printed.includes('2.5.0'), printed };
}
