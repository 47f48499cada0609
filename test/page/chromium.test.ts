import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { run } from '../e2e/run.ts';
import { startProxy } from '../helper.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';

const upstream = await sharedUpstream();
const QUIET = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--hide-scrollbars'];
const FLEET = '/balenablocks/browser-aarch64';

async function chromium(t: TestContext, args: string[], { javascript = true } = {}): Promise<string> {
	const directory = await mkdtemp(join(tmpdir(), 'chromium-'));
	await mkdir(`${directory}/Default`);
	// As a person does it, in the settings: where scripts are off altogether, Chromium cannot tell its own DOM either.
	await writeFile(`${directory}/Default/Preferences`, JSON.stringify({ profile: { default_content_setting_values: { javascript: javascript ? 1 : 2 } } }));
	t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
	const { code, printed } = await run('chromium', [...QUIET, `--user-data-dir=${directory}`, ...args], { seconds: 60 });
	assert.equal(code, 0, printed);
	return printed;
}

describe('Chromium', needs('chromium'), () => {
	test('shows the page of a fleet, with buttons to copy, and nothing that its policy refuses', async (t) => {
		const { url } = await startProxy(t, upstream);
		const dom = await chromium(t, ['--enable-logging=stderr', '--dump-dom', `${url}${FLEET}`]);
		assert.equal(dom.match(/<button type="button">Copy<\/button>/g)?.length, 5);
		assert.match(dom, /docker pull 127\.0\.0\.1:\d+\/balenablocks\/browser-aarch64\/2\.4\.0/);
		assert.doesNotMatch(dom, /Content Security Policy/);
	});

	test('lacks nothing without JavaScript but the buttons', async (t) => {
		const { url } = await startProxy(t, upstream);
		const dom = await chromium(t, ['--dump-dom', `${url}${FLEET}`], { javascript: false });
		assert.doesNotMatch(dom, /<button type="button">/);
		assert.match(dom, /docker pull 127\.0\.0\.1:\d+\/balenablocks\/browser-aarch64\/2\.4\.0/);
	});

	for (const [what, size] of [['on a wide screen', '1280,1300'], ['on a narrow screen', '500,1300']] as const) {
		test(`draws it ${what}`, async (t) => {
			const { url } = await startProxy(t, upstream);
			const directory = await mkdtemp(join(tmpdir(), 'screen-'));
			t.after(() => rm(directory, { recursive: true }));
			await chromium(t, [`--window-size=${size}`, `--screenshot=${directory}/page.png`, `${url}${FLEET}`]);
			const png = await readFile(`${directory}/page.png`);
			assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)].join(','), size);
			// An empty page of this size is a few KB.
			assert.ok(png.length > 20_000, `${png.length} bytes`);
		});
	}
});
