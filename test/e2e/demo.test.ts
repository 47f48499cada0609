import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from './run.ts';

test('the demo pulls a public and a private image, and shows why a third cannot be pulled', async () => {
	const { code, printed } = await run(process.execPath, ['demo/demo.ts', '--once']);
	assert.equal(code, 0, printed);
	assert.equal(printed.match(/^ {2}Pulled\.$/gm)?.length, 2, printed);
	assert.match(printed, /NAME_UNKNOWN: balenablocks\/browser-aarch64 has no release 2\.3\.9; its latest is 2\.4\.0/);
	assert.doesNotMatch(printed, /WRONG/);
});
