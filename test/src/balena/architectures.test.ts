import { describe } from 'node:test';
import { architectureOf, slugsOfBlock, splitArchitecture } from '../../../src/balena/architectures.ts';
import { table } from '../../support/table.ts';

describe('splitArchitecture: the architecture at the end of a fleet’s name, in whatever words', () => {
	table<string>(
		[
			['display-aarch64', ['display', 'aarch64']],
			['display-amd64', ['display', 'amd64']],
			['display-armv7hf', ['display', 'armv7hf']],
			['display-rpi', ['display', 'rpi']],
			['display-i386', ['display', 'i386']],
			['display-arm64', ['display', 'aarch64']],
			['display-arm32', ['display', 'armv7hf']],
			['display-armv7hl', ['display', 'armv7hf']],
			['display-armhf', ['display', 'armv7hf']],
			['display-armv6hf', ['display', 'rpi']],
			['display-x86_64', ['display', 'amd64']],
			['display_aarch64', ['display', 'aarch64']],
			['my-display-x86', ['my-display', 'i386']],
			['display', ['display', undefined]],
			['displayarm64', ['displayarm64', undefined]],
			['aarch64', ['aarch64', undefined]],
			['display-aarch64-test', ['display-aarch64-test', undefined]],
		],
		(fleet) => {
			const { block, architecture } = splitArchitecture(fleet);
			return [block, architecture?.name];
		},
	);
});

describe('architectureOf', () => {
	table<string>(
		[
			['aarch64', 'arm64 v8'],
			['arm64', 'arm64 v8'],
			['rpi', 'arm v6'],
			['armv7hf', 'arm v7'],
			['i386', '386 '],
			['amd64', 'amd64 '],
			['2.4.0', undefined],
			['constructor', undefined],
		],
		(word) => {
			const platform = architectureOf(word)?.platform;
			return platform && `${platform.architecture} ${platform.variant ?? ''}`;
		},
	);
});

describe('slugsOfBlock', () => {
	table<string>([['acme/display', ['amd64', 'aarch64', 'armv7hf', 'rpi', 'i386'].map((name) => `acme/display-${name}`)]], slugsOfBlock);
});
