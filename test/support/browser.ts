import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

/** A real Chromium's one tab, driven by the DevTools protocol: https://chromedevtools.github.io/devtools-protocol/ */
export interface Tab {
	/** Whatever the browser complained of: exceptions, and what the page's policy refused. */
	complaints: string[];
	send(method: string, parameters?: object): Promise<any>;
	/** Opens an address, and waits until it is loaded. */
	open(url: string): Promise<void>;
	/** @returns the value of an expression in the page; also where the page's own scripts are switched off */
	evaluate<T>(expression: string): Promise<T>;
	/** Clicks into the middle of an element, or of its first line. */
	click(selector: string): Promise<void>;
	/** Presses a key in the focused element, as a person does. */
	press(key: 'Enter' | 'Tab'): Promise<void>;
	/** Does something that leads to another page, and waits until that is loaded. */
	follow(action: () => Promise<void>): Promise<void>;
}

export interface Screen {
	width?: number;
	scheme?: 'light' | 'dark';
	javascript?: boolean;
}

const FLAGS = [
	'--headless',
	'--no-sandbox',
	'--disable-gpu',
	'--disable-quic',
	'--no-first-run',
	'--disable-background-networking',
	'--disable-component-update',
	'--disable-sync',
	'--hide-scrollbars',
	'--remote-debugging-port=0',
];
const KEYS = {
	Enter: { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13, text: '\r' },
	Tab: { key: 'Tab', code: 'Tab', windowsVirtualKeyCode: 9 },
};

/** Starts a Chromium of the test's own, with an empty profile, and ends it with the test. */
export async function openTab(t: TestContext, { width = 1280, scheme = 'light', javascript = true }: Screen = {}): Promise<Tab> {
	const profile = await mkdtemp(join(tmpdir(), 'chromium-'));
	const chromium = spawn('chromium', [...FLAGS, `--user-data-dir=${profile}`, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] });
	const exited = once(chromium, 'exit');
	t.after(async () => {
		chromium.kill();
		await exited;
		await rm(profile, { recursive: true, force: true, maxRetries: 5 });
	});
	const socket = new WebSocket(await devtoolsAddress(chromium.stderr));
	await once(socket, 'open');
	const tab = await attach(socket);
	await tab.send('Emulation.setDeviceMetricsOverride', { width, height: 900, deviceScaleFactor: 1, mobile: false });
	await tab.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
	await tab.send('Emulation.setScriptExecutionDisabled', { value: !javascript });
	return tab;
}

const LONGEST_WAIT_MS = 30_000;

async function bounded<T>(what: string, promise: Promise<T>): Promise<T> {
	const { promise: late, reject } = Promise.withResolvers<never>();
	const timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), LONGEST_WAIT_MS);
	try {
		return await Promise.race([promise, late]);
	} finally {
		clearTimeout(timer);
	}
}

async function devtoolsAddress(stderr: NodeJS.ReadableStream): Promise<string> {
	const printed: string[] = [];
	for await (const line of createInterface(stderr)) {
		const address = /^DevTools listening on (ws:\S+)/.exec(line)?.[1];
		if (address !== undefined) {
			stderr.resume();
			return address;
		}
		printed.push(line);
	}
	throw new Error(`Chromium did not start: ${printed.join('\n')}`);
}

async function attach(socket: WebSocket): Promise<Tab> {
	const waiting = new Map<number, { resolve(result: any): void; reject(error: Error): void }>();
	const loaded: (() => void)[] = [];
	const complaints: string[] = [];
	const envelope: { id: number; sessionId?: string } = { id: 0 };
	socket.addEventListener('message', ({ data }) => {
		const { id, result, error, method, params } = JSON.parse(data as string);
		if (id !== undefined) {
			const call = waiting.get(id);
			return error === undefined ? call?.resolve(result) : call?.reject(new Error(error.message));
		}
		if (method === 'Page.loadEventFired') {
			loaded.splice(0).forEach((resolve) => resolve());
		} else if (method === 'Runtime.exceptionThrown') {
			complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
		} else if (
			method === 'Log.entryAdded' &&
			!params.entry.text.startsWith('Failed to load resource: the server responded with a status')
		) {
			complaints.push(params.entry.text);
		} else if (method === 'Audits.issueAdded' && params.issue.code === 'ContentSecurityPolicyIssue') {
			complaints.push(JSON.stringify(params.issue.details));
		}
	});
	const send = (method: string, params: object = {}): Promise<any> =>
		bounded(
			method,
			new Promise((resolve, reject) => {
				waiting.set(++envelope.id, { resolve, reject });
				socket.send(JSON.stringify({ ...envelope, method, params }));
			}),
		);
	const follow = async (action: () => Promise<void>): Promise<void> => {
		const load = new Promise<void>((resolve) => loaded.push(resolve));
		await action();
		await bounded('a page to load', load);
	};

	const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
	envelope.sessionId = (await send('Target.attachToTarget', { targetId, flatten: true })).sessionId;
	await Promise.all(['Page', 'Runtime', 'Log', 'Audits'].map((domain) => send(`${domain}.enable`)));
	const tab: Tab = {
		complaints,
		send,
		follow,
		open: (url) =>
			follow(async () => {
				const { errorText } = await send('Page.navigate', { url });
				assert.equal(errorText, undefined);
			}),
		async evaluate(expression) {
			const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
			assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
			return result.value;
		},
		async click(selector) {
			const [x, y] = await tab.evaluate<[number, number]>(
				`(() => { const at = document.querySelector(${JSON.stringify(selector)}); at.scrollIntoView({ block: 'center' }); const [{ x, y, width, height }] = at.getClientRects(); return [x + width / 2, y + height / 2]; })()`,
			);
			for (const type of ['mousePressed', 'mouseReleased']) {
				await send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
			}
		},
		async press(key) {
			await send('Input.dispatchKeyEvent', { type: 'keyDown', ...KEYS[key] });
			await send('Input.dispatchKeyEvent', { type: 'keyUp', ...KEYS[key] });
		},
	};
	return tab;
}
