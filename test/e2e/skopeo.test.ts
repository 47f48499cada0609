import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { startProxy } from '../helper.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';
import { run, type Outcome } from './run.ts';

const upstream = await sharedUpstream();
const { owner, stranger } = upstream.keys;
const BROWSER = 'balenablocks/browser-aarch64';

const skopeo = (verb: string, host: string, reference: string, key: string | undefined, ...more: string[]): Promise<Outcome> =>
	run('skopeo', [verb, '--tls-verify=false', ...(key === undefined ? ['--no-creds'] : ['--creds', `anyone:${key}`]), ...more, `docker://${host}/${reference}`]);

describe('skopeo', needs('skopeo'), () => {
	const commit = upstream.fleets[BROWSER]!.releases['2.3.8']!.commit;
	const rows: { reference: string; key?: string; digest?: string; said?: RegExp }[] = [
		{ reference: BROWSER, digest: imageOf(upstream, BROWSER).digest },
		{ reference: `${BROWSER}/${commit}`, digest: imageOf(upstream, BROWSER, '2.3.8').digest },
		{ reference: `${BROWSER}/${commit.slice(0, 10)}`, digest: imageOf(upstream, BROWSER, '2.3.8').digest },
		{ reference: `${BROWSER}/2.3`, digest: imageOf(upstream, BROWSER, '2.3.8+rev2').digest },
		{ reference: 'acme/secret', key: owner, digest: imageOf(upstream, 'acme/secret').digest },
		{ reference: 'acme/secret', key: stranger, said: /no fleet acme\/secret that this login may pull from/ },
		{ reference: 'acme/secret', key: 'wrong', said: /invalid username\/password: unauthorized: the login was refused/ },
		{ reference: 'acme/secret', said: /no public fleet acme\/secret/ },
		{ reference: 'acme/not-there', said: /no public fleet acme\/not-there/ },
	];
	for (const { reference, key, digest, said } of rows) {
		test(`inspect ${reference} ${key === undefined ? 'anonymously' : `with ${key === owner ? "the owner's" : key === stranger ? "a stranger's" : 'a wrong'} key`}`, async (t) => {
			const { host } = await startProxy(t, upstream);
			const { code, printed } = await skopeo('inspect', host, reference, key, '--format', '{{.Digest}}');
			if (digest !== undefined) {
				assert.deepEqual([code, printed.trim()], [0, digest]);
			} else {
				assert.equal(code, 1);
				assert.match(printed, said!);
			}
		});
	}

	test('lists the versions of a fleet', async (t) => {
		const { host } = await startProxy(t, upstream);
		const { printed } = await skopeo('list-tags', host, BROWSER, undefined);
		const releases = Object.values(upstream.fleets[BROWSER]!.releases).filter(({ isFinal, status }) => isFinal && status === 'success');
		assert.deepEqual((JSON.parse(printed) as { Tags: string[] }).Tags, [...new Set(releases.map(({ version }) => version))].sort());
	});

	test('copies an index with all its platforms', async (t) => {
		const { host } = await startProxy(t, upstream);
		const directory = await mkdtemp(join(tmpdir(), 'copy-'));
		t.after(() => rm(directory, { recursive: true }));
		const { code, printed } = await run('skopeo', ['copy', '--all', '--src-tls-verify=false', `docker://${host}/acme/multi-arch`, `dir:${directory}`]);
		assert.equal(code, 0, printed);
		const files = await readdir(directory);
		for (const { digest } of imageOf(upstream, 'acme/multi-arch').platforms) {
			assert.ok(files.includes(`${digest.replace('sha256:', '')}.manifest.json`), files.join(' '));
		}
	});
});
