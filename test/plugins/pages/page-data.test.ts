import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startProxy } from '../../support/proxy.ts';
import { imageOf } from '../../upstream/index.ts';
import { sharedUpstream } from '../../upstream/shared.ts';

const upstream = await sharedUpstream();
const BROWSER = 'balenalabs/browser-aarch64';
const { digest, repository } = imageOf(upstream, BROWSER);
const IGNORED = /tag [^ ]* ?(?:names no release of [^ ]+ and )?is ignored/i;
const OTHER_DIGEST = /digest that was given is not/;

describe('a reference that somebody tries', () => {
	const rows: { typed: string; tags?: 'ignore' | 'strict' | 'lenient'; has: RegExp[]; hasNot?: RegExp[] }[] = [
		{ typed: `${BROWSER}/2.3`, has: [/is <strong>release 2\.3\.8\+rev2</, new RegExp(`href="/${BROWSER}/2\\.3"`)] },
		{
			typed: BROWSER,
			// With a digest, the release is named: the tracked one moves on.
			has: [new RegExp(`docker pull [^ ]*${BROWSER}/2\\.4\\.0@${digest}\n`), new RegExp(repository), new RegExp(`href="/${BROWSER}"`)],
			hasNot: [IGNORED, OTHER_DIGEST],
		},
		{ typed: `docker pull bh.cr/${BROWSER}:latest`, has: [/is <strong>release 2\.4\.0</], hasNot: [IGNORED] },
		{ typed: `FROM bh.cr/${BROWSER}/2.4.0@${digest}`, has: [/is <strong>release 2\.4\.0</], hasNot: [OTHER_DIGEST] },
		{ typed: `${BROWSER}/2.3.8@${digest}`, has: [/is <strong>release 2\.3\.8\+rev2</, OTHER_DIGEST] },
		{
			typed: `${BROWSER}:2.3.8`,
			tags: 'ignore',
			has: [/is <strong>release 2\.4\.0</, IGNORED, /For release 2\.3\.8, write balenalabs\/browser-aarch64\/2\.3\.8\./],
		},
		{ typed: `${BROWSER}/2.4.0:2.3.8`, has: [/is <strong>release 2\.4\.0</, IGNORED], hasNot: [/For release/] },
		{
			typed: `${BROWSER}:2.3.8`,
			tags: 'strict',
			has: [/is <strong>release 2\.3\.8\+rev2</, /docker pull [^ ]*browser-aarch64:2\.3\.8\n/, new RegExp(`href="/${BROWSER}/2\\.3\\.8"`)],
			hasNot: [IGNORED],
		},
		{ typed: `${BROWSER}:latest`, tags: 'strict', has: [/is <strong>release 2\.4\.0</], hasNot: [IGNORED] },
		{ typed: `${BROWSER}:9.9.9`, tags: 'strict', has: [/has no release 9\.9\.9/] },
		{ typed: `${BROWSER}/2.4.0:2.3.8`, tags: 'strict', has: [/is <strong>release 2\.4\.0</, IGNORED] },
		{
			typed: `${BROWSER}:2.3.8`,
			tags: 'lenient',
			has: [/is <strong>release 2\.3\.8\+rev2</, new RegExp(`href="/${BROWSER}/2\\.3\\.8"`)],
			hasNot: [IGNORED],
		},
		{
			typed: `${BROWSER}:9.9.9`,
			tags: 'lenient',
			has: [
				/is <strong>release 2\.4\.0</,
				/The tag 9\.9\.9 names no release of balenalabs\/browser-aarch64 and is ignored/,
				new RegExp(`docker pull [^ ]*${BROWSER}[@\n]`),
			],
		},
		{ typed: `${BROWSER}:stable`, tags: 'lenient', has: [/is <strong>release 2\.4\.0</, /The tag stable names no release/] },
		{ typed: `${BROWSER}:2.5.0`, tags: 'lenient', has: [/did not build/] },
		{ typed: 'acme/several', has: [/Release 1\.1\.0 of acme\/several has several services: db, main, proxy/, /href="\/acme\/several"/] },
		{ typed: 'acme/several/latest/db', has: [/is <strong>release 1\.1\.0</, /href="\/acme\/several\/latest\/db"/] },
		{ typed: `${BROWSER}/9.9.9`, has: [/>balenalabs\/browser-aarch64 has no release 9\.9\.9/, new RegExp(`href="/${BROWSER}"`)] },
		{ typed: 'acme/secret', has: [/There is no public fleet acme\/secret/], hasNot: [/href="\/acme/] },
		{ typed: 'acme/secret/1.1.0', has: [/There is no public fleet acme\/secret/], hasNot: [/href="\/acme/] },
		{ typed: repository, has: [/name that the registry itself gave/] },
		{ typed: 'acme/several/1/db', has: [/docker pull [^ ]*acme\/several\/1\.1\.0\/db@sha256/] },
		{ typed: 'acme/display-%%BALENA_ARCH%%', has: [/Replace the template variable %%BALENA_ARCH%% in the name/i] },
		{
			typed: 'docker pull bh.cr/acme/display:1.0.0',
			tags: 'lenient',
			has: [/is an image for several architectures: amd64 \(release 1\.0\.0\), aarch64/, /href="\/acme\/display\/1\.0\.0"/],
			hasNot: [/rpi/],
		},
		{ typed: 'acme/veiled', has: [/There is no public fleet acme\/veiled/], hasNot: [/href="\/acme/] },
		{ typed: 'fleet', has: [/is not a reference to a fleet/] },
		{ typed: '"><script>x', has: [/value="&quot;&gt;&lt;script&gt;x"/], hasNot: [/<script>x/] },
		{ typed: '   ', has: [/Try a reference/], hasNot: [/class="answer/] },
		{ typed: 'a'.repeat(1000), has: [/is not a reference/] },
	];
	for (const tags of ['lenient', 'ignore', 'strict']) {
		test(`with TAGS=${tags}`, async (t) => {
			const { url } = await startProxy(t, upstream, { TAGS: tags });
			for (const { typed, has, hasNot = [] } of rows.filter((row) => row.tags === undefined || row.tags === tags)) {
				await t.test(typed.slice(0, 80), async () => {
					const response = await fetch(`${url}/?${new URLSearchParams({ reference: typed })}`);
					const text = await response.text();
					assert.equal(response.status, 200);
					has.forEach((part) => assert.match(text, part));
					hasNot.forEach((part) => assert.doesNotMatch(text, part));
				});
			}
		});
	}

	test('twice in one address is none', async (t) => {
		const { url } = await startProxy(t, upstream);
		assert.doesNotMatch(await (await fetch(`${url}/?reference=a/b&reference=c/d`)).text(), /class="answer/);
	});
});
