import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { snippets, yaml } from '../../../src/page/snippets.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('lines for YAML', () => {
	for (const [text, written] of [
		['main', 'main'],
		['my_service-2.x', 'my_service-2.x'],
		['bh.cr/acme/fleet/2.4.0', 'bh.cr/acme/fleet/2.4.0'],
		['127.0.0.1:8080/acme/fleet', '127.0.0.1:8080/acme/fleet'],
		[`bh.cr/acme/fleet@${DIGEST}`, `bh.cr/acme/fleet@${DIGEST}`],
		['[::1]:80/acme/fleet', '"[::1]:80/acme/fleet"'],
		['on', '"on"'],
		['No', '"No"'],
		['null', '"null"'],
		['007', '"007"'],
		['1e3', '"1e3"'],
		['a: b', '"a: b"'],
		['a\nb', '"a\\nb"'],
		['# x', '"# x"'],
		['', '""'],
	] as const) {
		test(`${JSON.stringify(text)} is ${written}`, () => assert.equal(yaml(text), written));
	}
	test('Kubernetes gets labels', () => {
		const { lines } = snippets('My_Fleet', [
			{ service: '_Some.Service_', reference: 'x/y' },
			{ service: '', reference: 'x/z' },
		]).at(-1)!;
		assert.deepEqual(
			lines.filter((line) => line.includes('name:')),
			['  name: my-fleet', '    - name: some-service', '    - name: main'],
		);
	});
	test('a long name is cut to what Kubernetes takes', () =>
		assert.match(snippets(`${'a'.repeat(62)}-b`, []).at(-1)!.lines[3]!, /^ {2}name: a{62}$/));
});
