import fc, { type Arbitrary } from 'fast-check';
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { formatScope, parseScopes, type Scope } from '../../src/registry/scope.ts';
import { name, nearly } from './arbitraries.ts';
import { check } from './check.ts';
import { isNameByHand } from './oracles.ts';

const scope: Arbitrary<Scope> = fc.record(
	{
		type: fc.constantFrom('repository', 'registry', 'repository(plugin)'),
		name,
		actions: fc.array(fc.constantFrom('pull', 'push', 'delete', '*'), { minLength: 1, maxLength: 3 }),
	},
	{ noNullPrototype: true },
);
const parameters = fc.array(nearly(fc.array(scope.map(formatScope), { minLength: 1, maxLength: 3 }).map((list) => list.join(' '))), {
	maxLength: 4,
});

describe('parseScopes', () => {
	check(
		'returns valid scopes, each once',
		fc.property(parameters, (texts) => {
			const scopes = parseScopes(texts);
			for (const { type, name: named, actions } of scopes) {
				assert.match(type, /^[a-z0-9]+(\([a-z0-9]+\))?$/);
				assert.ok(isNameByHand(named), named);
				assert.ok(actions.length > 0 && actions.every((action) => /^[a-z*]+$/.test(action)));
			}
			assert.equal(new Set(scopes.map(formatScope)).size, scopes.length);
		}),
	);
	check(
		'reads back what was formatted',
		fc.property(scope, (given) => assert.deepEqual(parseScopes([formatScope(given)]), [given])),
	);
	check(
		'does not mind whether scopes are repeated or listed',
		fc.property(parameters, (texts) => assert.deepEqual(parseScopes(texts), parseScopes([texts.join(' ')]))),
	);
	check(
		'reads each scope as if it were alone',
		fc.property(parameters, (texts) => {
			const alone = texts.flatMap((text) => text.split(' ')).flatMap((text) => parseScopes([text]));
			assert.deepEqual(parseScopes(texts).map(formatScope), [...new Set(alone.map(formatScope))]);
		}),
	);
	check(
		'gives different scopes different texts',
		fc.property(scope, scope, (a, b) =>
			assert.equal(
				formatScope(a) === formatScope(b),
				JSON.stringify([a.type, a.name, a.actions]) === JSON.stringify([b.type, b.name, b.actions]),
			),
		),
	);
});
