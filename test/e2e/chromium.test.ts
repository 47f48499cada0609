import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startProxy } from '../support/proxy.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { needs } from '../upstream/tools.ts';
import { openTab, type Tab } from '../support/browser.ts';
import { lowContrast } from '../support/contrast.ts';

const upstream = await sharedUpstream();
const BROWSER = 'balenalabs/browser-aarch64';
const FLEET = `/${BROWSER}`;
const PAGES = [
	'/',
	FLEET,
	'/acme/several/1.0.0',
	'/acme/several/1.0.0/db',
	'/acme/empty',
	'/acme/absent',
	`/?reference=${BROWSER}/2.3`,
	'/?reference=acme/several',
];
/** The smallest contrast of text by WCAG 2.2, level AA. */
const CONTRAST = 4.5;

/** What of the lines to copy can be seen. */
const seen = (tab: Tab): Promise<string[]> =>
	tab.evaluate(`[...document.querySelectorAll('pre')].filter((pre) => pre.offsetParent !== null).map((pre) => pre.textContent.trimEnd())`);

describe('Chromium', needs('chromium'), () => {
	for (const width of [1280, 390, 320]) {
		for (const scheme of ['light', 'dark'] as const) {
			test(`${width} pixels wide and ${scheme}, nothing sticks out, everything can be read, and nothing is refused`, async (t) => {
				const { url } = await startProxy(t, upstream);
				const tab = await openTab(t, { width, scheme });
				for (const path of PAGES) {
					await tab.open(url + path);
					assert.equal(await tab.evaluate('document.documentElement.scrollWidth'), width, path);
					assert.equal(
						await tab.evaluate(
							`matchMedia('(prefers-color-scheme: dark)').matches && getComputedStyle(document.body).backgroundColor !== 'rgb(255, 255, 255)'`,
						),
						scheme === 'dark',
					);
					assert.deepEqual(await tab.evaluate(lowContrast(CONTRAST)), [], path);
				}
				assert.deepEqual(tab.complaints, []);
			});
		}
	}

	test('notices what a page may not load', async (t) => {
		const { url } = await startProxy(t, upstream);
		const tab = await openTab(t);
		await tab.open(url);
		// Otherwise the test above would prove nothing.
		await tab.evaluate(
			`new Promise((done) => { const image = new Image(); image.onerror = done; image.src = '/favicon.ico'; document.body.append(image); })`,
		);
		assert.match(tab.complaints.join(), /Content Security Policy|img-src/);
	});

	test('copies what is shown, for each tool, by release and by digest', async (t) => {
		const { url, host } = await startProxy(t, upstream);
		const tab = await openTab(t);
		await tab.send('Browser.grantPermissions', { origin: url, permissions: ['clipboardReadWrite', 'clipboardSanitizedWrite'] });
		await tab.open(url + FLEET);
		const { digest } = imageOf(upstream, BROWSER);
		for (const [choice, reference] of [
			['#by-name', `${host}${FLEET}/2.4.0`],
			['#by-digest', `${host}${FLEET}/2.4.0@${digest}`],
		] as const) {
			await tab.click(choice);
			const copied = [];
			for (const nth of [0, 1, 2, 3]) {
				copied.push(
					await tab.evaluate(`(async () => {
						const block = document.querySelectorAll('.copy')[${nth}], button = block.querySelector('button');
						const done = new Promise((resolve) => new MutationObserver(resolve).observe(button, { childList: true }));
						button.click();
						await done;
						return [button.textContent, button.getAttribute('aria-label'), await navigator.clipboard.readText()];
					})()`),
				);
			}
			assert.deepEqual(copied, [
				['Copied', 'Copied: Docker', `docker pull ${reference}`],
				['Copied', 'Copied: Compose', `services:\n  main:\n    image: ${reference}`],
				['Copied', 'Copied: Dockerfile', `FROM ${reference}`],
				[
					'Copied',
					'Copied: Kubernetes',
					`apiVersion: v1\nkind: Pod\nmetadata:\n  name: browser-aarch64\nspec:\n  containers:\n    - name: main\n      image: ${reference}\n      imagePullPolicy: IfNotPresent`,
				],
			]);
		}
		assert.deepEqual(tab.complaints, []);
	});

	for (const javascript of [true, false]) {
		test(`tries a reference ${javascript ? 'with' : 'without'} JavaScript`, async (t) => {
			const { url } = await startProxy(t, upstream);
			const tab = await openTab(t, { width: 390, javascript });
			await tab.open(url);
			await tab.click('#reference');
			await tab.send('Input.insertText', { text: `docker pull bh.cr/${BROWSER}/2.3.8` });
			await tab.follow(() => tab.press('Enter'));
			assert.match(await tab.evaluate(`document.querySelector('[role=status]').innerText`), /is release 2\.3\.8\+rev2\./);
			assert.equal(await tab.evaluate(`document.querySelector('#reference').value`), `docker pull bh.cr/${BROWSER}/2.3.8`);
			await tab.follow(() => tab.click('[role=status] a'));
			assert.match(await tab.evaluate('document.body.innerText'), /Release 2\.3\.8\+rev2/);
		});
	}

	test('lacks nothing without JavaScript but the buttons', async (t) => {
		const { url, host } = await startProxy(t, upstream);
		const tab = await openTab(t, { javascript: false });
		await tab.open(url + FLEET);
		assert.equal(await tab.evaluate(`document.querySelectorAll('button').length`), 0);
		assert.deepEqual([(await seen(tab)).length, (await seen(tab))[0]], [4, `docker pull ${host}${FLEET}/2.4.0`]);
		await tab.click('#by-digest');
		assert.deepEqual(
			[(await seen(tab)).length, (await seen(tab))[0]],
			[4, `docker pull ${host}${FLEET}/2.4.0@${imageOf(upstream, BROWSER).digest}`],
		);
	});

	test('can be used with the keyboard alone: each stop has a name, and shows that it has the focus', async (t) => {
		const { url } = await startProxy(t, upstream);
		const tab = await openTab(t);
		const stops: Record<string, string[]> = {};
		for (const path of ['/', FLEET]) {
			await tab.open(url + path);
			const { nodes } = (await tab.send('Accessibility.getFullAXTree')) as {
				nodes: { ignored: boolean; role?: { value: string }; name?: { value: string } }[];
			};
			const nameless = nodes.filter(
				({ ignored, role, name }) =>
					!ignored && ['link', 'button', 'textbox', 'radio', 'group', 'heading'].includes(role?.value ?? '') && (name?.value ?? '') === '',
			);
			assert.deepEqual(
				nameless.map(({ role }) => role?.value),
				[],
			);
			stops[path] = [];
			for (let i = 0; i < 40; i++) {
				await tab.press('Tab');
				const stop = await tab.evaluate<[string, string] | null>(
					`(() => { const at = document.activeElement; return at === document.body ? null : [at.id || at.getAttribute('aria-label') || at.textContent, getComputedStyle(at).outlineStyle]; })()`,
				);
				if (stop === null) {
					break;
				}
				assert.equal(stop[1], 'solid', stop[0]);
				stops[path].push(stop[0]);
			}
		}
		assert.deepEqual(stops['/']!.slice(1), ['reference', 'What is it?', 'Copy: Log in']);
		assert.deepEqual(stops[FLEET]!.slice(1, 8), [
			'by-name',
			'Copy: Docker',
			'Copy: Compose',
			'Copy: Dockerfile',
			'Copy: Kubernetes',
			'2.3.8+rev2',
			'2.3.8+rev1',
		]);
	});
});
