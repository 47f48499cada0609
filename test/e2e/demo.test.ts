import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { run } from '../support/run.ts';
import { until } from '../support/until.ts';

/* `npm run demo`: the first thing that a newcomer sees. */

const DEMO = 'demo/demo.ts';

test('with --once it shows each step of five pulls, and ends', async () => {
	const { code, printed } = await run(process.execPath, [DEMO, '--once'], { seconds: 240 });
	assert.equal(code, 0, printed);
	const [public_ = '', private_ = '', amd64 = '', arm64 = '', missing = ''] = printed.split(/\n\n/).slice(1);
	for (const [step, line] of [
		['challenge', /1\. GET \/v2\/ {2}-> {2}401, ask for a token: Bearer realm="http:\/\/localhost:\d+\/auth\/v1\/token"/],
		[
			'token',
			/2\. GET \/auth\/v1\/token\?scope=repository:\S+:pull.* {2}-> {2}200, a token that knows: \{"\S+":\{"fleet":\["v2\/[0-9a-f]{32}","\S+"\],"digest":"sha256:[0-9a-f]{64}"\}\}/,
		],
		['manifest', /3\. GET \/v2\/\S+\/manifests\/latest {2}-> {2}200, \d+ bytes, sha256:[0-9a-f]{64}/],
		['blobs', /4\. GET \/v2\/\S+\/blobs\/sha256:\S+ {2}-> {2}\d+ bytes, digest verified/],
		['end', /^ {2}Pulled\.$/m],
	] as const) {
		assert.match(public_, line, `${step} of a public release`);
		assert.match(private_, line, `${step} of a private release`);
	}
	assert.match(private_, /\(as u, with the key\)/);
	const childOf = (platform: string, pull: string): string => {
		assert.match(pull, new RegExp(`an index for linux/amd64, linux/arm64, linux/arm; this machine takes ${platform}`));
		assert.match(pull, /digest verified[^]*\n {2}Pulled\.$/);
		return /manifests\/(sha256:\w{64})/.exec(pull)![1]!;
	};
	assert.notEqual(childOf('linux/amd64', amd64), childOf('linux/arm64', arm64));
	assert.match(
		missing,
		/What the terminal shows: NAME_UNKNOWN: balenalabs\/browser-aarch64 has no release 2\.3\.9; its latest is 2\.4\.0, and 2\.3\.8 exists/,
	);
	assert.doesNotMatch(printed, /WRONG/);
});

test('without it, it says what to try, and can be pulled from until Ctrl-C', async (t) => {
	const child = spawn(process.execPath, [DEMO], { stdio: ['ignore', 'pipe', 'inherit'] });
	t.after(() => child.kill('SIGKILL'));
	let printed = '';
	child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
	await until(() => printed.includes('Press Ctrl-C to end.'), { seconds: 240 });
	const [, host] = /docker pull (localhost:\d+)\/balenalabs/.exec(printed) ?? [];
	assert.equal(await (await fetch(`http://${host}/ping`)).text(), 'pong');
	child.kill('SIGINT');
	await once(child, 'exit');
	await assert.rejects(fetch(`http://${host}/ping`));
});
