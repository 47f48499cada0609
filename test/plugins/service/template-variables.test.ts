import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startProxy } from '../../support/proxy.ts';
import { sendRaw } from '../../support/raw-client.ts';
import { sharedUpstream } from '../../upstream/shared.ts';

/* An address with what a template should have replaced, as curl and scripts send it, where Docker refuses it itself. */

const upstream = await sharedUpstream();

const PATHS: [path: string, variable: string][] = [
	['/v2/acme/display-%%BALENA_ARCH%%/manifests/latest', '%%BALENA_ARCH%%'],
	['/v2/acme/display-<arch>/manifests/latest', '<arch>'],
	['/v2/acme/display-%3Carch%3E/manifests/latest', '<arch>'],
	['/v2/acme/display/manifests/%3Cversion%3E', '<version>'],
];

test('an address with a template variable says so', async (t) => {
	const { url } = await startProxy(t, upstream);
	for (const [path, variable] of PATHS) {
		await t.test(path, async () => {
			const { answers } = await sendRaw(
				{ url },
				`GET ${path} HTTP/1.1\r\nHost: bh.cr\r\nAuthorization: Bearer a.b.c\r\nConnection: close\r\n\r\n`,
			);
			assert.equal(answers[0]?.status, 400);
			assert.ok(answers[0].body.includes(`replace the template variable ${variable} in the name`), answers[0].body);
		});
	}
});
