import { describe } from 'node:test';
import { cacheKey } from '../../../src/balena/cache-key.ts';
import { ANONYMOUS, type Caller } from '../../../src/balena/caller.ts';
import type { ReleaseReference } from '../../../src/balena/reference.ts';
import { table } from '../../support/table.ts';

const caller: Caller = { kind: 'credentials', authorization: 'Bearer key', secret: 'key', fingerprint: 'fingerprint' };
const reference = (release?: string, service?: string): ReleaseReference => ({
	slug: 'org/app',
	release,
	service,
});

describe('cacheKey: who asked, and for what', () => {
	table<[reference: ReleaseReference, caller: Caller]>(
		[
			[[reference(), ANONYMOUS], 'anonymous org/app  '],
			[[reference('2.4.0'), ANONYMOUS], 'anonymous org/app 2.4.0 '],
			[[reference('2.4.0', 'main'), ANONYMOUS], 'anonymous org/app 2.4.0 main'],
			[[reference(undefined, 'main'), ANONYMOUS], 'anonymous org/app  main'],
			// The secret itself is not in it.
			[[reference('2.4.0', 'main'), caller], 'fingerprint org/app 2.4.0 main'],
		],
		([asked, by]) => cacheKey(asked, by),
	);
});
