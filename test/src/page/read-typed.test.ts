import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readTyped } from '../../../src/page/read-typed.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const HOSTS = ['localhost:5000', 'bh.cr'];

describe('what was typed', () => {
	const rows: [typed: string, name: string, tag?: string, digest?: string][] = [
		['acme/fleet', 'acme/fleet'],
		['  docker pull bh.cr/acme/fleet/2.4.0:latest ', 'acme/fleet/2.4.0', 'latest'],
		['https://bh.cr/acme/fleet/', 'acme/fleet'],
		['https://bh.cr/acme/fleet?reference=x#releases', 'acme/fleet'],
		[`bh.cr/acme/fleet@${DIGEST}`, 'acme/fleet', undefined, DIGEST],
		[`bh.cr/acme/fleet:1.0@${DIGEST}`, 'acme/fleet', '1.0', DIGEST],
		['localhost:5000/acme/fleet:1', 'acme/fleet', '1'],
		['localhost:5000/acme/fleet', 'acme/fleet'],
		['FROM BH.CR/Acme/Fleet AS build', 'acme/fleet'],
		['image: "bh.cr/acme/fleet/2.4.0"', 'acme/fleet/2.4.0'],
		['docker run -v /data:/data bh.cr/acme/fleet:2 /bin/sh', 'acme/fleet', '2'],
		['docker pull acme/fleet -q', 'acme/fleet'],
		['docker pull bh.cr/acme/fleet --platform linux/arm64', 'acme/fleet'],
		['docker://bh.cr/acme/fleet', 'acme/fleet'],
		['acme/fleet:', 'acme/fleet'],
		['fleet', 'fleet'],
		['', ''],
	];
	for (const [typed, name, tag, digest] of rows) {
		test(`${JSON.stringify(typed)} means ${[name, tag, digest].join(' ')}`, () =>
			assert.deepEqual(readTyped(typed, HOSTS), { name, tag, digest }));
	}
});
