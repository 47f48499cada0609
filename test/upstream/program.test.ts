import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { program } from './program.ts';
import { tar } from './tar.ts';

const ARCHITECTURES: Partial<Record<NodeJS.Architecture, 'amd64' | 'arm64'>> = { x64: 'amd64', arm64: 'arm64' };
const architecture = process.platform === 'linux' ? ARCHITECTURES[process.arch] : undefined;

test(
	'the sample images’ program runs, as tar unpacks it',
	{ skip: architecture === undefined && 'this machine runs no Linux programs' },
	(t) => {
		const directory = mkdtempSync(join(tmpdir(), 'program-'));
		t.after(() => rmSync(directory, { recursive: true }));
		const archive = join(directory, 'layer.tar');
		writeFileSync(archive, tar([{ path: 'bin/hello', content: program(architecture!, 'acme/pinned 1.1.0\n'), mode: 0o755 }]));
		execFileSync('tar', ['-xf', archive, '-C', directory]);
		assert.equal(execFileSync(join(directory, 'bin/hello'), { encoding: 'utf8' }), 'acme/pinned 1.1.0\n');
	},
);
