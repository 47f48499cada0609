import { describe } from 'node:test';
import { asksToPull, formatScope, parseScopes, pullScope } from '../../../src/registry/scope.ts';
import { table } from '../../support/table.ts';

describe('parseScopes: repeated, listed, or both', () => {
	table(
		[
			[[], []],
			[[''], []],
			[['   '], []],
			[['repository:org/app:pull'], [{ type: 'repository', name: 'org/app', actions: ['pull'] }]],
			[['repository:org/app:pull,push'], [{ type: 'repository', name: 'org/app', actions: ['pull', 'push'] }]],
			[['repository:org/app:*'], [{ type: 'repository', name: 'org/app', actions: ['*'] }]],
			[['registry:catalog:*'], [{ type: 'registry', name: 'catalog', actions: ['*'] }]],
			[['repository(plugin):org/app:pull'], [{ type: 'repository(plugin)', name: 'org/app', actions: ['pull'] }]],
			[
				// containerd: several parameters, sorted.
				['repository:a/a:pull', 'repository:b/b:pull'],
				[
					{ type: 'repository', name: 'a/a', actions: ['pull'] },
					{ type: 'repository', name: 'b/b', actions: ['pull'] },
				],
			],
			[
				// The OAuth2 form: one parameter with a list.
				['repository:b/b:pull repository:a/a:pull'],
				[
					{ type: 'repository', name: 'b/b', actions: ['pull'] },
					{ type: 'repository', name: 'a/a', actions: ['pull'] },
				],
			],
			[
				['repository:b/b:pull  repository:a/a:pull ', 'repository:c/c:pull'],
				[
					{ type: 'repository', name: 'b/b', actions: ['pull'] },
					{ type: 'repository', name: 'a/a', actions: ['pull'] },
					{ type: 'repository', name: 'c/c', actions: ['pull'] },
				],
			],
			[['repository:a/a:pull repository:a/a:pull', 'repository:a/a:pull'], [{ type: 'repository', name: 'a/a', actions: ['pull'] }]],
			[
				// The same name with other actions is another scope.
				['repository:a/a:pull', 'repository:a/a:pull,push'],
				[
					{ type: 'repository', name: 'a/a', actions: ['pull'] },
					{ type: 'repository', name: 'a/a', actions: ['pull', 'push'] },
				],
			],
			// What is malformed is left out, and spoils nothing beside it.
			[['repository:Org/App:pull', 'repository:a/a:pull'], [{ type: 'repository', name: 'a/a', actions: ['pull'] }]],
			[['nonsense repository:a/a:pull'], [{ type: 'repository', name: 'a/a', actions: ['pull'] }]],
			[['repository'], []],
			[['repository:org/app'], []],
			[['repository:org/app:'], []],
			[['repository:org/app:pull,'], []],
			[['repository:org/app:PULL'], []],
			[['repository:org/app:pull push'], [{ type: 'repository', name: 'org/app', actions: ['pull'] }]],
			[[':org/app:pull'], []],
			[['Repository:org/app:pull'], []],
			[['repository(:org/app:pull'], []],
			[['repository::pull'], []],
			[['repository:localhost:5000/org/app:pull'], []],
			[['repository:org/app:2.4.0:pull'], []],
			[['repository:../app:pull'], []],
			[['repository:org/app/..:pull'], []],
			[['repository:org/app\r\nx-evil: 1:pull'], []],
			[['repository:__proto__:pull'], []],
			[['repository:org/app\tpull'], []],
		],
		parseScopes,
	);
});

describe('formatScope', () => {
	table(
		[
			[{ type: 'repository', name: 'org/app', actions: ['pull'] }, 'repository:org/app:pull'],
			[{ type: 'repository', name: 'org/app', actions: ['pull', 'push'] }, 'repository:org/app:pull,push'],
			[{ type: 'registry', name: 'catalog', actions: ['*'] }, 'registry:catalog:*'],
		],
		formatScope,
	);
});

describe('pullScope', () => {
	table([['org/app', 'repository:org/app:pull']], pullScope);
});

describe('asksToPull: whatever else is asked for is never granted', () => {
	table(
		[
			[{ type: 'repository', name: 'a/a', actions: ['pull'] }, true],
			[{ type: 'repository', name: 'a/a', actions: ['push', 'pull'] }, true],
			[{ type: 'repository', name: 'a/a', actions: ['*'] }, true],
			[{ type: 'repository', name: 'a/a', actions: ['push'] }, false],
			[{ type: 'repository', name: 'a/a', actions: ['delete'] }, false],
			[{ type: 'registry', name: 'catalog', actions: ['*'] }, false],
			[{ type: 'repository(plugin)', name: 'a/a', actions: ['pull'] }, false],
		],
		asksToPull,
	);
});
