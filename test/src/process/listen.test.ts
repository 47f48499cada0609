import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError } from '../../../src/config.ts';
import { listenOn } from '../../../src/process/listen.ts';

const failure = (code: string): Error => Object.assign(new Error(`listen ${code}`), { code });

describe('listenOn', () => {
	const rows: [host: string, failures: Record<string, string>, tried: string[], complaint?: string][] = [
		['::', {}, ['::']],
		['127.0.0.1', {}, ['127.0.0.1']],
		// A machine without IPv6.
		['::', { '::': 'EAFNOSUPPORT' }, ['::', '0.0.0.0']],
		['::', { '::': 'EADDRINUSE' }, ['::'], 'cannot listen on :: port 80: listen EADDRINUSE'],
		['::', { '::': 'EAFNOSUPPORT', '0.0.0.0': 'EADDRINUSE' }, ['::', '0.0.0.0'], 'cannot listen on 0.0.0.0 port 80: listen EADDRINUSE'],
		// Asked for IPv6 in particular.
		['::1', { '::1': 'EAFNOSUPPORT' }, ['::1'], 'cannot listen on ::1 port 80: listen EAFNOSUPPORT'],
		['0.0.0.0', { '0.0.0.0': 'EACCES' }, ['0.0.0.0'], 'cannot listen on 0.0.0.0 port 80: listen EACCES'],
	];
	for (const [host, failures, expected, complaint] of rows) {
		test(`${host} with ${JSON.stringify(failures)}: ${complaint ?? `tries ${expected.join(', then ')}`}`, async () => {
			const tried: string[] = [];
			const listening = listenOn(host, 80, async (address) => {
				tried.push(address);
				if (failures[address] !== undefined) {
					throw failure(failures[address]);
				}
			});
			if (complaint === undefined) {
				await listening;
			} else {
				await assert.rejects(listening, new ConfigError(complaint));
			}
			assert.deepEqual(tried, expected);
		});
	}
});
