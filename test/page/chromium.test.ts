import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
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

async function chromium(t: TestContext, ...args: string[]): Promise<string> {
	const directory = await mkdtemp(join(tmpdir(), 'chromium-'));
	t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
	const { code, printed } = await run('chromium', [...QUIET, `--user-data-dir=${directory}`, ...args], { seconds: 60 });
	assert.equal(code, 0, printed);
	return printed;
}

describe('Chromium', needs('chromium'), () => {
	test('shows the page of a fleet, with buttons to copy, and nothing that its policy refuses', async (t) => {
		const { url } = await startProxy(t, upstream);
		const dom = await chromium(t, '--enable-logging=stderr', '--dump-dom', `${url}${FLEET}`);
		assert.equal(dom.match(/<button type="button">Copy<\/button>/g)?.length, 5);
		assert.match(dom, /docker pull 127\.0\.0\.1:\d+\/balenablocks\/browser-aarch64\/2\.4\.0/);
		assert.doesNotMatch(dom, /Content Security Policy/);
	});

	// Chromium tells its DOM only through a script of its own, so that without JavaScript a picture has to do.
	for (const [what, size, ...more] of [['on a wide screen', '1280,1300'], ['on a narrow screen', '500,1300'], ['without JavaScript', '1280,1300', '--blink-settings=scriptEnabled=false']] as const) {
		test(`draws it ${what}`, async (t) => {
			const { url } = await startProxy(t, upstream);
			const directory = await mkdtemp(join(tmpdir(), 'screen-'));
			t.after(() => rm(directory, { recursive: true }));
			await chromium(t, ...more, `--window-size=${size}`, `--screenshot=${directory}/page.png`, `${url}${FLEET}`);
			const png = await readFile(`${directory}/page.png`);
			assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)].join(','), size);
			// An empty page of this size is a few KB.
			assert.ok(png.length > 20_000, `${png.length} bytes`);
		});
	}
});
